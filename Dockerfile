FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/promptward && /opt/promptward/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN /opt/promptward/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN groupadd --system --gid 10001 promptward \
 && useradd --system --uid 10001 --gid promptward --home-dir /var/lib/promptward --create-home promptward
COPY --from=build /opt/promptward /opt/promptward
ENV PATH=/opt/promptward/bin:$PATH PROMPTWARD_HOME=/var/lib/promptward PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
WORKDIR /var/lib/promptward
EXPOSE 8000
# Of the service; a worker is looked after with `promptward worker --check`.
HEALTHCHECK --interval=5s --timeout=5s --start-period=20s --retries=6 CMD ["python", "-c", "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PROMPTWARD_PORT') or 8000), timeout=3); c.request('GET', '/health/ready'); sys.exit(c.getresponse().status != 200)"]
CMD ["promptward", "serve"]
