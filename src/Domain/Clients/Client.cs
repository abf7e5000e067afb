using CancelService.Domain.Payments;

namespace CancelService.Domain.Clients;

/// <summary>A client: a merchant's account with the wallet, with its contract and its keys.</summary>
public sealed class Client
{
    /// <summary>The client's identifier, as sent in the header <c>Client-Id</c>.</summary>
    public required ClientId Id { get; init; }

    /// <summary>A name for operators.</summary>
    public required string Name { get; set; }

    /// <summary>Whether the client may call at all.</summary>
    public required bool Enabled { get; set; }

    /// <summary>The client's terms.</summary>
    public required Contract Contract { get; set; }

    /// <summary>All key versions ever registered. A revoked key stays, so that its version is never reused.</summary>
    public IReadOnlyList<ClientKey> Keys { get; init; } = new List<ClientKey>();

    /// <summary>
    /// Finds the key of a version if it is active at <paramref name="now"/>; without a version, the newest active key.
    /// Null when no key fits.
    /// </summary>
    public ClientKey? FindKey(int? version, DateTimeOffset now) =>
        Keys.Where(key => (version is null || key.Version == version) && key.IsActive(now)).MaxBy(key => key.Version);
}

/// <summary>The terms that a client has agreed with the wallet.</summary>
public sealed record Contract
{
    /// <summary>Whether the contract includes cancelling (otherwise: ACCESS_DENIED).</summary>
    public bool MayCancel { get; init; } = true;

    /// <summary>The time after its initiation in which a payment can be cancelled.</summary>
    public CancelWindow Window { get; init; } = CancelWindow.Usual;

    /// <summary>
    /// Whether an early cancel refuses the arrival of its payment: the merchant has been told that it does not exist.
    /// </summary>
    public bool RememberUnknown { get; init; } = true;

    /// <summary>The sustained rate on each instance, in requests a second.</summary>
    public int RequestsPerSecond { get; init; } = 100;

    /// <summary>The most requests at once on each instance, before the rate applies.</summary>
    public int Burst { get; init; } = 200;

    /// <summary>Whether the contract includes inquiries (otherwise: ACCESS_DENIED).</summary>
    public bool MayInquire { get; init; } = true;

    /// <summary>
    /// The sustained rate of inquiries on each instance, in requests a second. It is apart from the rate of cancels,
    /// which polling can't exhaust.
    /// </summary>
    public int InquiriesPerSecond { get; init; } = 100;

    /// <summary>The most inquiries at once on each instance, before their rate applies.</summary>
    public int InquiryBurst { get; init; } = 200;
}

/// <summary>One version of a client's public key, with the time in which it is valid.</summary>
public sealed class ClientKey
{
    /// <summary>The number that the client sends as <c>keyVersion</c>; the highest active one is the default.</summary>
    public required int Version { get; init; }

    /// <summary>The RSA public key.</summary>
    public required PublicKey PublicKey { get; init; }

    /// <summary>The first instant at which the key is valid (UTC); null for no lower limit.</summary>
    public DateTimeOffset? NotBefore { get; init; }

    /// <summary>The first instant at which the key is no longer valid (UTC); null for no end.</summary>
    public DateTimeOffset? NotAfter { get; init; }

    /// <summary>The time of the revocation (UTC), which is final; null while the key is not revoked.</summary>
    public DateTimeOffset? RevokedAt { get; init; }

    /// <summary>Tells whether signatures of this key are accepted at <paramref name="now"/>.</summary>
    public bool IsActive(DateTimeOffset now) =>
        RevokedAt is null && (NotBefore is null || now >= NotBefore) && (NotAfter is null || now < NotAfter);
}
