# The service as an image, and the sandbox as another. Needs nothing but a container engine:
#
#   docker build -t cancelservice .
#   docker run --rm cancelservice migrate                             # the service's commands are the image's
#   docker build -t cancelservice-sandbox --target sandbox .
#   docker run --rm -p 8080:8080 -p 127.0.0.1:8081:8081 cancelservice-sandbox
#
# docs/operations.md ("The image") describes its use; compose.yaml runs it with everything around it.

FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
WORKDIR /source

# Packages first: they are restored again only when a project file changes.
COPY global.json Directory.Build.props Directory.Packages.props ./
COPY src/Api/Api.csproj src/Api/packages.lock.json src/Api/
COPY src/Application/Application.csproj src/Application/packages.lock.json src/Application/
COPY src/Doctor/Doctor.csproj src/Doctor/packages.lock.json src/Doctor/
COPY src/Domain/Domain.csproj src/Domain/packages.lock.json src/Domain/
COPY src/Infrastructure/Infrastructure.csproj src/Infrastructure/packages.lock.json src/Infrastructure/
COPY src/OperatorConsole/OperatorConsole.csproj src/OperatorConsole/packages.lock.json src/OperatorConsole/
COPY src/Pages/Pages.csproj src/Pages/packages.lock.json src/Pages/
COPY src/Protocol/Protocol.csproj src/Protocol/packages.lock.json src/Protocol/
COPY src/Sandbox/Sandbox.csproj src/Sandbox/packages.lock.json src/Sandbox/
RUN dotnet restore src/Sandbox --locked-mode -p:RuntimeIdentifier=linux-x64

COPY .editorconfig BannedSymbols.txt ./
COPY src src
COPY docs docs
# The OpenAPI documents are checked in, so this build need not write them; CI has run the analyzers.
ENV PUBLISH="--no-restore --configuration Release --runtime linux-x64 --self-contained false \
        -p:OpenApiGenerateDocuments=false -p:RunAnalyzers=false"
RUN mkdir -p /writable/data

FROM build AS published-sandbox
ARG REVISION=unknown
RUN dotnet publish src/Sandbox $PUBLISH --output /publish -p:SourceRevisionId="$REVISION"

FROM build AS published-service
ARG REVISION=unknown
RUN dotnet publish src/Api $PUBLISH --output /publish -p:SourceRevisionId="$REVISION"

FROM mcr.microsoft.com/dotnet/aspnet:10.0 AS base
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
WORKDIR /app
# SQLite and the sandbox's keys are written, and only here. On a read-only root, mount something at it.
COPY --from=build --chown=1654:1654 /writable ./
# The ports come from Kestrel:Endpoints. Without diagnostics the runtime writes nothing into /tmp.
ENV ASPNETCORE_HTTP_PORTS= DOTNET_EnableDiagnostics=0
# 1654 is the base image's user "app". Kubernetes' runAsNonRoot needs the number.
USER 1654
EXPOSE 8080 8081
# SIGTERM drains. Health is the orchestrator's to ask, at /healthz/live and /healthz/ready of the internal port.
STOPSIGNAL SIGTERM

# The service and a demo wallet, to try things in. Nothing of it is in the service's image.
FROM base AS sandbox
LABEL org.opencontainers.image.title="CancelService sandbox" \
      org.opencontainers.image.description="CancelService with a demo wallet, to try things in"
COPY --from=published-sandbox /publish ./
# The pages are on the internal port, so a container listens there too. Publish the port on loopback alone.
ENV Kestrel__Endpoints__Internal__Url=http://*:8081
ENTRYPOINT ["dotnet", "CancelService.Sandbox.dll"]

# The last stage is the default of docker build.
FROM base AS service
LABEL org.opencontainers.image.title="CancelService" \
      org.opencontainers.image.description="The endpoint POST /v2/payments/cancel of a wallet"
COPY --from=published-service /publish ./
ENTRYPOINT ["dotnet", "CancelService.Api.dll"]
