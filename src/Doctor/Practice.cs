namespace CancelService.Doctor;

/// <summary>A key that is not the client's own, which the signature may have been made with all the same.</summary>
/// <param name="Id">The cause when it was: <c>key-wallet</c>.</param>
/// <param name="Owner">Whose it is, for a reader: "the wallet's own key".</param>
/// <param name="PublicKeyPem">The key as SubjectPublicKeyInfo in PEM.</param>
public sealed record StrangeKey(string Id, string Owner, string PublicKeyPem);

/// <summary>A client as the doctor needs to know it.</summary>
/// <param name="Id">The Client-Id.</param>
/// <param name="Enabled">Whether the client may call.</param>
/// <param name="Keys">The client's registered keys, the revoked ones too.</param>
public sealed record ExaminedClient(string Id, bool Enabled, IReadOnlyList<ExaminedKey> Keys)
{
    /// <summary>Finds the key that the service verifies with: of a version, or without one the newest active key.</summary>
    public ExaminedKey? FindKey(int? version, DateTimeOffset now) =>
        Keys.Where(key => (version is null || key.Version == version) && key.IsActive(now)).MaxBy(key => key.Version);
}

/// <summary>A registered key of a client.</summary>
/// <param name="Version">The version, from 1.</param>
/// <param name="PublicKeyPem">The key as SubjectPublicKeyInfo in PEM.</param>
/// <param name="NotBefore">The first instant at which the key is valid (UTC); null: always.</param>
/// <param name="NotAfter">The first instant at which the key is no longer valid (UTC); null: never.</param>
/// <param name="RevokedAt">The time of the revocation (UTC); null while the key is not revoked.</param>
public sealed record ExaminedKey(
    int Version,
    string PublicKeyPem,
    DateTimeOffset? NotBefore,
    DateTimeOffset? NotAfter,
    DateTimeOffset? RevokedAt
)
{
    /// <summary>Whether the key verifies requests at a time.</summary>
    public bool IsActive(DateTimeOffset now) => RevokedAt is null && !(now < NotBefore) && !(now >= NotAfter);
}

/// <summary>An operation of the public port, as far as a request to it can be judged without a payment.</summary>
/// <param name="Name">The name in the log and in metrics, such as <c>cancel</c>.</param>
/// <param name="Paths">The paths at which it is served.</param>
/// <param name="Members">The members of its body that the operation reads; all are strings.</param>
/// <param name="Problem">Judges the members' values, in their order: a sentence, or empty when nothing is wrong.</param>
public sealed record ServedOperation(
    string Name,
    IReadOnlyList<string> Paths,
    IReadOnlyList<string> Members,
    Func<IReadOnlyList<string?>, string> Problem
);

/// <summary>What the doctor knows of the service.</summary>
/// <param name="Operations">The operations that are served, the main one first.</param>
/// <param name="StrippedPrefix">What a proxy strips from them.</param>
/// <param name="Tolerance">How far Request-Time may be away from the clock.</param>
/// <param name="StrangeKeys">
/// Other keys than the client's, the wallet's own first. One client is told of another's in a sandbox alone.
/// </param>
public sealed record Practice(
    IReadOnlyList<ServedOperation> Operations,
    string StrippedPrefix,
    TimeSpan Tolerance,
    IReadOnlyList<StrangeKey> StrangeKeys
)
{
    /// <summary>All served paths, those of the main operation first.</summary>
    public IReadOnlyList<string> Paths { get; } = [.. Operations.SelectMany(operation => operation.Paths)];
}
