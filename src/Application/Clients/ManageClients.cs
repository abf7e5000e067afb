using CancelService.Application.Pipeline;
using CancelService.Domain;
using CancelService.Domain.Clients;
using CancelService.Domain.Payments;
using CancelService.Protocol;
using FluentValidation;
using MediatR;

namespace CancelService.Application.Clients;

/// <summary>Writes clients and keys for operators. Each member is one conditional write.</summary>
public interface IClientRegistry
{
    /// <summary>Creates the client, or replaces its name, state and contract; its keys stay.</summary>
    Task Put(Client client, ChangeAuthor author, CancellationToken cancellationToken);

    /// <summary>Adds a key, or changes the validity of the same key.</summary>
    Task<ClientResult> PutKey(
        ClientId clientId,
        ClientKey key,
        ChangeAuthor author,
        CancellationToken cancellationToken
    );

    /// <summary>Revokes a key for good. A repeat changes nothing.</summary>
    Task<ClientResult> RevokeKey(
        ClientId clientId,
        int version,
        ChangeAuthor author,
        CancellationToken cancellationToken
    );
}

/// <summary>The result of a change of a client or a key: exactly one of five.</summary>
public abstract record ClientResult : IValidated<ClientResult>
{
    private ClientResult() { }

    /// <summary>The change is committed. Other instances apply it within <c>Clients:CacheTime</c>.</summary>
    public sealed record Done : ClientResult;

    /// <summary>
    /// A member of the command is missing or malformed; the message names it and says what it must be.
    /// </summary>
    public sealed record Malformed(string Message) : ClientResult;

    /// <summary>The client is unknown, or has no such key.</summary>
    public sealed record NotFound : ClientResult;

    /// <summary>The key is of a kind that is not accepted; the message says why.</summary>
    public sealed record KeyNotAccepted(string Message) : ClientResult;

    /// <summary>The version belongs to another key or to a revoked key. A version is never reused.</summary>
    public sealed record KeyDiffers : ClientResult;

    /// <inheritdoc/>
    public static ClientResult Invalid(string message) => new Malformed(message);
}

/// <summary>
/// Creates a client, or replaces it except for its keys. Null takes the default of <see cref="Contract"/>.
/// </summary>
/// <param name="ClientId">The client.</param>
/// <param name="Name">A name for operators, 1 to 256 characters.</param>
/// <param name="Enabled">Whether the client may call.</param>
/// <param name="MayCancel">Whether the contract includes cancelling.</param>
/// <param name="Window">The cancel window: <c>T+1 00:15 +08:00</c> or <c>PT24H</c>.</param>
/// <param name="RequestsPerSecond">The sustained rate on each instance, 1 to 100,000 requests a second.</param>
/// <param name="Burst">The most requests at once on each instance, 1 to 100,000.</param>
/// <param name="RememberUnknown">Whether an early cancel refuses its payment.</param>
/// <param name="Author">The caller, for the record.</param>
public sealed record PutClientCommand(
    string ClientId,
    string? Name,
    bool? Enabled,
    bool? MayCancel,
    string? Window,
    int? RequestsPerSecond,
    int? Burst,
    bool? RememberUnknown,
    ChangeAuthor Author
) : IRequest<ClientResult>
{
    /// <summary>Whether the contract includes inquiries.</summary>
    public bool? MayInquire { get; init; }

    /// <summary>The sustained rate of inquiries on each instance, 1 to 100,000 a second.</summary>
    public int? InquiriesPerSecond { get; init; }

    /// <summary>The most inquiries at once on each instance, 1 to 100,000.</summary>
    public int? InquiryBurst { get; init; }
}

/// <summary>Registers a key under a version, or changes the validity of the same key.</summary>
/// <param name="ClientId">The client.</param>
/// <param name="Version">The version, from 1; never reused.</param>
/// <param name="PublicKey">SubjectPublicKeyInfo in PEM.</param>
/// <param name="NotBefore">The first instant at which the key is valid; null for no lower limit.</param>
/// <param name="NotAfter">The first instant at which the key is no longer valid; null for no end.</param>
/// <param name="Author">The caller, for the record.</param>
public sealed record PutClientKeyCommand(
    string ClientId,
    int Version,
    string? PublicKey,
    DateTimeOffset? NotBefore,
    DateTimeOffset? NotAfter,
    ChangeAuthor Author
) : IRequest<ClientResult>;

/// <summary>Revokes a key for good.</summary>
public sealed record RevokeClientKeyCommand(string ClientId, int Version, ChangeAuthor Author) : IRequest<ClientResult>;

/// <summary>The shape of a <see cref="PutClientCommand"/>.</summary>
public sealed class PutClientValidator : AbstractValidator<PutClientCommand>
{
    /// <summary>Sets the rules up.</summary>
    public PutClientValidator()
    {
        ClassLevelCascadeMode = CascadeMode.Stop;
        RuleFor(c => c.ClientId).ClientId();
        RuleFor(c => c.Name)
            .Must(name => name is { Length: > 0 and <= 256 } && !name.Any(char.IsControl))
            .WithMessage("name must be 1 to 256 characters.");
        RuleFor(c => c.Enabled).NotNull().WithMessage("enabled must be true or false.");
        RuleFor(c => c.Window)
            .Must(window => window is null || CancelWindow.TryParse(window, out _))
            .WithMessage(
                "contract.window must be a cut-off such as 'T+1 00:15 +08:00' (day, time, zone) or a duration such as "
                    + $"'PT24H' or 'P7D', up to {CancelWindow.MaxDays} days."
            );
        RuleFor(c => c.RequestsPerSecond)
            .InclusiveBetween(1, 100_000)
            .WithMessage("contract.requestsPerSecond must be 1 to 100000.");
        RuleFor(c => c.Burst).InclusiveBetween(1, 100_000).WithMessage("contract.burst must be 1 to 100000.");
        RuleFor(c => c.InquiriesPerSecond)
            .InclusiveBetween(1, 100_000)
            .WithMessage("contract.inquiriesPerSecond must be 1 to 100000.");
        RuleFor(c => c.InquiryBurst)
            .InclusiveBetween(1, 100_000)
            .WithMessage("contract.inquiryBurst must be 1 to 100000.");
    }
}

/// <summary>The shape of a <see cref="PutClientKeyCommand"/>.</summary>
public sealed class PutClientKeyValidator : AbstractValidator<PutClientKeyCommand>
{
    /// <summary>Sets the rules up.</summary>
    public PutClientKeyValidator()
    {
        ClassLevelCascadeMode = CascadeMode.Stop;
        RuleFor(c => c.ClientId).ClientId();
        RuleFor(c => c.Version).GreaterThan(0).WithMessage("version must be 1 or more.");
        RuleFor(c => c.PublicKey).NotEmpty().WithMessage("publicKey must be a public key in PEM.");
        RuleFor(c => c.NotAfter)
            .Must((command, notAfter) => notAfter is null || command.NotBefore is null || command.NotBefore < notAfter)
            .WithMessage("notAfter must be later than notBefore.");
    }
}

/// <summary>The shape of a <see cref="RevokeClientKeyCommand"/>.</summary>
public sealed class RevokeClientKeyValidator : AbstractValidator<RevokeClientKeyCommand>
{
    /// <summary>Sets the rules up.</summary>
    public RevokeClientKeyValidator() => RuleFor(c => c.ClientId).ClientId();
}

/// <summary>Creates or replaces a client.</summary>
public sealed class PutClientHandler(IClientRegistry registry) : IRequestHandler<PutClientCommand, ClientResult>
{
    private static readonly Contract Default = new();

    /// <inheritdoc/>
    public async Task<ClientResult> Handle(PutClientCommand request, CancellationToken cancellationToken)
    {
        var client = new Client
        {
            Id = new ClientId(request.ClientId),
            Name = request.Name!,
            Enabled = request.Enabled!.Value,
            Contract = new Contract
            {
                MayCancel = request.MayCancel ?? Default.MayCancel,
                Window = request.Window is null ? Default.Window : CancelWindow.Parse(request.Window),
                RequestsPerSecond = request.RequestsPerSecond ?? Default.RequestsPerSecond,
                Burst = request.Burst ?? Default.Burst,
                RememberUnknown = request.RememberUnknown ?? Default.RememberUnknown,
                MayInquire = request.MayInquire ?? Default.MayInquire,
                InquiriesPerSecond = request.InquiriesPerSecond ?? Default.InquiriesPerSecond,
                InquiryBurst = request.InquiryBurst ?? Default.InquiryBurst,
            },
        };
        await registry.Put(client, request.Author, cancellationToken);
        return new ClientResult.Done();
    }
}

/// <summary>
/// Registers a key, or refuses it with the rule of <see cref="Domain.Clients.PublicKey"/> that it breaks.
/// </summary>
public sealed class PutClientKeyHandler(IClientRegistry registry) : IRequestHandler<PutClientKeyCommand, ClientResult>
{
    /// <inheritdoc/>
    public async Task<ClientResult> Handle(PutClientKeyCommand request, CancellationToken cancellationToken)
    {
        if (!PublicKeyText.TryRead(request.PublicKey!, out var publicKey, out var problem))
            return new ClientResult.KeyNotAccepted(problem);
        var key = new ClientKey
        {
            Version = request.Version,
            PublicKey = PublicKey.Of(publicKey),
            NotBefore = request.NotBefore?.ToUniversalTime(),
            NotAfter = request.NotAfter?.ToUniversalTime(),
        };
        return await registry.PutKey(new ClientId(request.ClientId), key, request.Author, cancellationToken);
    }
}

/// <summary>Revokes a key.</summary>
public sealed class RevokeClientKeyHandler(IClientRegistry registry)
    : IRequestHandler<RevokeClientKeyCommand, ClientResult>
{
    /// <inheritdoc/>
    public Task<ClientResult> Handle(RevokeClientKeyCommand request, CancellationToken cancellationToken) =>
        registry.RevokeKey(new ClientId(request.ClientId), request.Version, request.Author, cancellationToken);
}
