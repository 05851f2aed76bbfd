# One image for every function, the scheduler and the workers; the environment or the command says which one a container is.
FROM python:3.11-slim AS packages
COPY requirements.txt .
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r requirements.txt

FROM python:3.11-slim
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
RUN python -m compileall -q shared functions scheduler commands
USER 10001:10001
EXPOSE 8080
CMD ["python", "-m", "shared.serve"]
