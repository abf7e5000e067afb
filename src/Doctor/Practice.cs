namespace CancelService.Doctor;

/// <summary>A key of another owner that a client may have signed with by mistake.</summary>
/// <param name="Id">The identifier of that mistake, such as <c>key-wallet</c>.</param>
/// <param name="Owner">The owner, for a reader: "the wallet's own key".</param>
/// <param name="PublicKeyPem">The key as SubjectPublicKeyInfo in PEM.</param>
public sealed record StrangeKey(string Id, string Owner, string PublicKeyPem);

/// <summary>A client with its keys, for an examination.</summary>
/// <param name="Id">The Client-Id.</param>
/// <param name="Enabled">Whether the client may call.</param>
/// <param name="Keys">The client's registered keys, including revoked keys.</param>
public sealed record ExaminedClient(string Id, bool Enabled, IReadOnlyList<ExaminedKey> Keys)
{
    /// <summary>Finds the key for verification: the active key of a version, or without a version the newest.</summary>
    public ExaminedKey? FindKey(int? version, DateTimeOffset now) =>
        Keys.Where(key => (version is null || key.Version == version) && key.IsActive(now)).MaxBy(key => key.Version);
}

/// <summary>A registered key of a client.</summary>
/// <param name="Version">The version, from 1.</param>
/// <param name="PublicKeyPem">The key as SubjectPublicKeyInfo in PEM.</param>
/// <param name="NotBefore">The first instant at which the key is valid (UTC); null for no lower limit.</param>
/// <param name="NotAfter">The first instant at which the key is no longer valid (UTC); null for no end.</param>
/// <param name="RevokedAt">The time of the revocation (UTC); null while the key is not revoked.</param>
public sealed record ExaminedKey(
    int Version,
    string PublicKeyPem,
    DateTimeOffset? NotBefore,
    DateTimeOffset? NotAfter,
    DateTimeOffset? RevokedAt
)
{
    /// <summary>Tells whether the key verifies requests at a time.</summary>
    public bool IsActive(DateTimeOffset now) => RevokedAt is null && !(now < NotBefore) && !(now >= NotAfter);
}

/// <summary>An operation of the public port, with the rules that need no payment.</summary>
/// <param name="Name">The name in the log and in metrics, such as <c>cancel</c>.</param>
/// <param name="Paths">The served paths.</param>
/// <param name="Members">The members of the body that the operation reads; all are strings.</param>
/// <param name="Problem">Checks the members' values in their order; returns a sentence, or empty.</param>
public sealed record ServedOperation(
    string Name,
    IReadOnlyList<string> Paths,
    IReadOnlyList<string> Members,
    Func<IReadOnlyList<string?>, string> Problem
);

/// <summary>The service's rules, for an examination.</summary>
/// <param name="Operations">The served operations, the main operation first.</param>
/// <param name="StrippedPrefix">The prefix that a proxy strips from paths.</param>
/// <param name="Tolerance">The tolerance for Request-Time.</param>
/// <param name="StrangeKeys">
/// Keys of other owners, the wallet's first. Only the sandbox names one client's key to another.
/// </param>
public sealed record Practice(
    IReadOnlyList<ServedOperation> Operations,
    string StrippedPrefix,
    TimeSpan Tolerance,
    IReadOnlyList<StrangeKey> StrangeKeys
)
{
    /// <summary>All served paths, the main operation's first.</summary>
    public IReadOnlyList<string> Paths { get; } = [.. Operations.SelectMany(operation => operation.Paths)];
}
