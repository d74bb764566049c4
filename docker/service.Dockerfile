# The service: the base install, without TensorFlow. Everything is installed from the hash-locked requirements.
FROM python:3.11-slim AS build
WORKDIR /build
COPY requirements/build.txt requirements/base.txt requirements/
RUN python -m venv /opt/gradsweep \
 && /opt/gradsweep/bin/pip install --no-cache-dir --require-hashes -r requirements/base.txt \
 && python -m pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY . .
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/gradsweep/bin/pip install --no-cache-dir --no-deps dist/*.whl

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home gradsweep && install --directory --owner gradsweep /data
COPY --from=build /opt/gradsweep /opt/gradsweep
ENV PATH=/opt/gradsweep/bin:$PATH PYTHONUNBUFFERED=1
USER gradsweep
WORKDIR /data
ENTRYPOINT ["gradsweep"]
CMD ["serve"]
