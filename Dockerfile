# One image for every function, the scheduler and the workers; the environment or the command selects which one a container runs.
# Reproducible: the base by digest, exact packages by hash, no timestamps in compiled files. A newer base has Debian's security fixes:
# `docker buildx imagetools inspect python:3.11-slim-bookworm` shows its digest.
ARG BASE=python:3.11-slim-bookworm@sha256:a36c24f9cbdf4fd0f52d67f0823eeac19c2028c637cecc392d97f980d4fec56b

FROM ${BASE} AS packages
COPY requirements.txt .
# Exactly the packages in requirements.txt, by hash: wheels, except crontab, which has none and is built with the base's setuptools.
# Nothing is resolved (--no-deps) and nothing unpinned is fetched, so a newer release of a package changes nothing.
# The environment has no pip: nothing is installed into a running container.
RUN python -m venv --without-pip /opt/venv && \
    pip install --prefix /opt/venv --ignore-installed --no-cache-dir --no-compile --no-build-isolation \
      --only-binary :all: --no-binary crontab --no-deps --require-hashes -r requirements.txt && \
    /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${BASE}
# HOME: in a running container the root filesystem is read-only and only /tmp is writable.
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
WORKDIR /app
COPY --from=packages /opt/venv /opt/venv
COPY stack.yml ./
COPY shared shared
COPY functions functions
COPY scheduler scheduler
COPY commands commands
COPY evergreen ./
RUN python -m compileall -q --invalidation-mode unchecked-hash shared functions scheduler commands
USER 10001:10001
EXPOSE 8080
CMD ["python", "-m", "shared.serve"]
