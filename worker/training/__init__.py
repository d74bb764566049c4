"""The numerics: TensorFlow and Keras live here and only here."""
