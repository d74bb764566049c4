# A worker: TensorFlow for CPUs (worker), or with CUDA's libraries for GPUs (gpu); both hash-locked.
ARG REQUIREMENTS=worker

FROM python:3.11-slim AS build
ARG REQUIREMENTS
WORKDIR /build
COPY requirements/build.txt requirements/${REQUIREMENTS}.txt requirements/
RUN python -m venv /opt/gradsweep \
 && /opt/gradsweep/bin/pip install --no-cache-dir --require-hashes -r requirements/${REQUIREMENTS}.txt \
 && python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY . .
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/gradsweep/bin/pip install --no-cache-dir --no-deps dist/*.whl

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home gradsweep && install --directory --owner gradsweep /data
COPY --from=build /opt/gradsweep /opt/gradsweep
ENV PATH=/opt/gradsweep/bin:$PATH PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=2 KERAS_HOME=/tmp/keras CUDA_CACHE_PATH=/tmp/cuda
USER gradsweep
WORKDIR /data
ENTRYPOINT ["gradsweep"]
CMD ["worker"]
