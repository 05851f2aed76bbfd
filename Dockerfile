# One image for every function, the scheduler and the workers; the environment or the command says which one a container is.
# Reproducible: exact packages by hash, no time in what is compiled. Pin the base by digest too with
# --build-arg BASE=python:3.11-slim-bookworm@sha256:... (`docker buildx imagetools inspect python:3.11-slim-bookworm` shows it).
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS packages
COPY requirements.txt .
# Exactly what requirements.txt names, by hash; wheels, but for crontab, which has none and is built by the base's own setuptools.
# Nothing is resolved (--no-deps) and nothing unpinned is fetched, so a newer release of a package changes nothing.
# The environment has no pip: nothing is installed into a container that runs.
RUN python -m venv --without-pip /opt/venv && \
    pip install --prefix /opt/venv --ignore-installed --no-cache-dir --no-compile --no-build-isolation \
      --only-binary :all: --no-binary crontab --no-deps --require-hashes -r requirements.txt && \
    /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/venv/lib

FROM ${BASE}
# HOME: the root filesystem is read-only when it runs, only /tmp can be written to.
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
