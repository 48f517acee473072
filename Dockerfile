# One image a service: docker build --build-arg SERVICE=gateway -t spendgate/gateway .
# A bill of materials instead: docker build --build-arg SERVICE=gateway --target sbom -o . .
ARG PYTHON=3.13-slim-bookworm

FROM python:${PYTHON} AS build
ARG SERVICE
WORKDIR /src
COPY images/locks/build.lock images/locks/
RUN python -m venv /build && /build/bin/pip install --quiet --no-deps --require-hashes -r images/locks/build.lock
COPY images images
COPY protos protos
COPY chassis chassis
COPY catalog catalog
COPY services services
COPY gateway gateway
RUN PYTHON=/build/bin/python images/assemble.sh "${SERVICE}" /srv \
    && python -m compileall -q --invalidation-mode unchecked-hash /srv

FROM build AS bill
RUN /build/bin/cyclonedx-py requirements "images/locks/${SERVICE}.lock" --output-format JSON -o /spendgate-sbom.json

FROM scratch AS sbom
COPY --from=bill /spendgate-sbom.json /

FROM python:${PYTHON} AS service
ARG SERVICE
LABEL org.opencontainers.image.title="spendgate-${SERVICE}" org.opencontainers.image.licenses="Apache-2.0"
RUN rm -rf /usr/local/lib/python3.*/site-packages/pip* /usr/local/lib/python3.*/ensurepip \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin spendgate
COPY --from=build /srv /srv
ENV PYTHONPATH=/srv/app:/srv/lib PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 SPENDGATE_ADMIN_LISTEN=127.0.0.1:50061
USER 10001:10001
WORKDIR /tmp
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-m", "chassis.probe"]
ENTRYPOINT ["python", "-m", "service"]
