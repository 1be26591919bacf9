FROM python:3.13-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/promptward && /opt/promptward/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY . .
RUN /opt/promptward/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /var/lib/promptward --create-home promptward
COPY --from=build /opt/promptward /opt/promptward
ENV PATH=/opt/promptward/bin:$PATH PROMPTWARD_HOME=/var/lib/promptward PYTHONUNBUFFERED=1
USER promptward
WORKDIR /var/lib/promptward
EXPOSE 8000
CMD ["promptward", "serve"]
