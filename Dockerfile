# The service as an image. Needs nothing but a container engine:
#
#   docker build -t cancelservice .
#   docker run --rm cancelservice migrate           # the service's commands are the image's
#
# docs/operations.md ("The image") says how to run it; compose.yaml runs it with everything around it.

FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /source

# Packages first: they are restored again only when a project file changes.
COPY global.json Directory.Build.props Directory.Packages.props ./
COPY src/Api/Api.csproj src/Api/packages.lock.json src/Api/
COPY src/Application/Application.csproj src/Application/packages.lock.json src/Application/
COPY src/Domain/Domain.csproj src/Domain/packages.lock.json src/Domain/
COPY src/Infrastructure/Infrastructure.csproj src/Infrastructure/packages.lock.json src/Infrastructure/
RUN dotnet restore src/Api --locked-mode -p:RuntimeIdentifier=linux-x64

COPY .editorconfig BannedSymbols.txt ./
COPY src src
COPY docs docs
ARG REVISION=unknown
# The OpenAPI documents are checked in, so the image's build need not write them; analyzers have looked at the code in CI.
RUN dotnet publish src/Api --no-restore --configuration Release --runtime linux-x64 --self-contained false --output /publish \
        -p:OpenApiGenerateDocuments=false -p:RunAnalyzers=false -p:SourceRevisionId="$REVISION" \
    && mkdir -p /writable/data

FROM mcr.microsoft.com/dotnet/aspnet:10.0
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="CancelService" \
      org.opencontainers.image.description="The endpoint POST /v2/payments/cancel of a wallet" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

WORKDIR /app
COPY --from=build /publish ./
# Only the demo wallet and SQLite write, and only here. Mount something at it to run them on a read-only root.
COPY --from=build --chown=1654:1654 /writable ./

# The ports come from Kestrel:Endpoints. Without diagnostics the runtime writes nothing into /tmp.
ENV ASPNETCORE_HTTP_PORTS= DOTNET_EnableDiagnostics=0
# 1654 is the base image's user "app". Kubernetes' runAsNonRoot needs the number.
USER 1654
EXPOSE 8080 8081
# SIGTERM drains. Health is the orchestrator's to ask, at /healthz/live and /healthz/ready of the internal port.
STOPSIGNAL SIGTERM
ENTRYPOINT ["dotnet", "CancelService.Api.dll"]
