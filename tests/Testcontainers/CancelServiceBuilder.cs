using System.Security.Cryptography;
using Docker.DotNet.Models;
using DotNet.Testcontainers.Builders;
using DotNet.Testcontainers.Configurations;

namespace CancelService.Testcontainers;

/// <summary>
/// Configures a container of the service with SQLite and the demo wallet. Set further settings of the service by
/// environment variables: <c>WithEnvironment("Notifications__Url", …)</c>.
/// </summary>
public sealed class CancelServiceBuilder
    : ContainerBuilder<CancelServiceBuilder, CancelServiceContainer, ContainerConfiguration>
{
    internal const ushort PublicPort = 8080;
    internal const ushort InternalPort = 8081;
    internal const string Bearer = "Authentication__Schemes__Bearer";
    internal const string Issuer = "CancelService.Testcontainers";
    internal const string Audience = "cancelservice";
    internal const string TokenKey = $"{Bearer}__SigningKeys__0__Value";

    /// <summary>The sandbox's image of this version.</summary>
    public const string DefaultImage = "cancelservice-sandbox:1.0.0";

    /// <summary>Configures a container of <see cref="DefaultImage"/>.</summary>
    public CancelServiceBuilder()
        : this(DefaultImage) { }

    /// <summary>Configures a container of the given image.</summary>
    /// <param name="image">The sandbox's image, such as <c>cancelservice-sandbox:1.0.0</c>.</param>
    public CancelServiceBuilder(string image)
        : this(new ContainerConfiguration()) =>
        DockerResourceConfiguration = Init().WithImage(image).DockerResourceConfiguration;

    private CancelServiceBuilder(ContainerConfiguration configuration)
        : base(configuration) => DockerResourceConfiguration = configuration;

    /// <inheritdoc/>
    protected override ContainerConfiguration DockerResourceConfiguration { get; }

    /// <inheritdoc/>
    public override CancelServiceContainer Build()
    {
        Validate();
        return new CancelServiceContainer(DockerResourceConfiguration);
    }

    /// <inheritdoc/>
    protected override CancelServiceBuilder Init() =>
        base.Init()
            .WithPortBinding(PublicPort, assignRandomHostPort: true)
            .WithPortBinding(InternalPort, assignRandomHostPort: true)
            .WithEnvironment("ASPNETCORE_ENVIRONMENT", "Development")
            .WithEnvironment("Kestrel__Endpoints__Internal__Url", $"http://*:{InternalPort}")
            .WithEnvironment($"{Bearer}__ValidIssuer", Issuer)
            .WithEnvironment($"{Bearer}__ValidAudience", Audience)
            .WithEnvironment($"{Bearer}__SigningKeys__0__Issuer", Issuer)
            .WithEnvironment(TokenKey, Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)))
            .WithWaitStrategy(
                Wait.ForUnixContainer()
                    .UntilHttpRequestIsSucceeded(
                        ready => ready.ForPort(InternalPort).ForPath("/healthz/ready"),
                        wait => wait.WithTimeout(TimeSpan.FromMinutes(2))
                    )
            );

    /// <inheritdoc/>
    protected override CancelServiceBuilder Clone(
        IResourceConfiguration<CreateContainerParameters> resourceConfiguration
    ) => Merge(DockerResourceConfiguration, new ContainerConfiguration(resourceConfiguration));

    /// <inheritdoc/>
    protected override CancelServiceBuilder Clone(IContainerConfiguration resourceConfiguration) =>
        Merge(DockerResourceConfiguration, new ContainerConfiguration(resourceConfiguration));

    /// <inheritdoc/>
    protected override CancelServiceBuilder Merge(ContainerConfiguration oldValue, ContainerConfiguration newValue) =>
        new(new ContainerConfiguration(oldValue, newValue));
}
