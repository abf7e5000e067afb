using System.Buffers;

namespace CancelService.Domain;

/// <summary>
/// The rule for every identifier on the wire except Client-Id: 1 to 64 ASCII letters, digits, <c>_</c>, <c>-</c> and
/// <c>.</c>. The API page forbids "special characters"; the alphabet is the wallet's decision.
/// </summary>
public static class Identifier
{
    /// <summary>The longest identifier, in characters.</summary>
    public const int MaxLength = 64;

    /// <summary>The rule in words, for messages.</summary>
    public const string Rule = "must be 1 to 64 letters, digits, '_', '-' or '.'";

    private static readonly SearchValues<char> Allowed = SearchValues.Create(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-."
    );

    /// <summary>Tells whether <paramref name="value"/> keeps the rule.</summary>
    public static bool IsWellFormed(ReadOnlySpan<char> value) =>
        value.Length is > 0 and <= MaxLength && !value.ContainsAnyExcept(Allowed);

    internal static string Checked(string value, string what) =>
        IsWellFormed(value) ? value : throw new ArgumentException($"{what} {Rule}.", nameof(value));
}

/// <summary>
/// Identifies a client: 1 to 64 ASCII letters, digits, <c>_</c> and <c>-</c>. Every key in the database begins with it.
/// A dot is forbidden, because it ends the Client-Id in the string to sign.
/// </summary>
/// <exception cref="ArgumentException">The text breaks the rule.</exception>
public readonly record struct ClientId(string Value)
{
    /// <summary>The rule in words, for messages.</summary>
    public const string Rule = "must be 1 to 64 letters, digits, '_' or '-'";

    /// <summary>The identifier as it was sent.</summary>
    public string Value { get; } =
        IsWellFormed(Value) ? Value : throw new ArgumentException($"{nameof(ClientId)} {Rule}.", nameof(Value));

    /// <summary>Tells whether <paramref name="value"/> keeps the rule.</summary>
    public static bool IsWellFormed(ReadOnlySpan<char> value) => Identifier.IsWellFormed(value) && !value.Contains('.');

    /// <inheritdoc/>
    public override string ToString() => Value;
}

/// <summary>The wallet's identifier of a payment, unique per client.</summary>
/// <exception cref="ArgumentException">The text breaks the rule of <see cref="Identifier"/>.</exception>
public readonly record struct PaymentId(string Value)
{
    /// <summary>The identifier as it was sent.</summary>
    public string Value { get; } = Identifier.Checked(Value, nameof(PaymentId));

    /// <inheritdoc/>
    public override string ToString() => Value;
}

/// <summary>
/// The merchant's identifier of a payment: one-to-one with <see cref="PaymentId"/> per client, for ever.
/// </summary>
/// <exception cref="ArgumentException">The text breaks the rule of <see cref="Identifier"/>.</exception>
public readonly record struct PaymentRequestId(string Value)
{
    /// <summary>The identifier as it was sent.</summary>
    public string Value { get; } = Identifier.Checked(Value, nameof(PaymentRequestId));

    /// <inheritdoc/>
    public override string ToString() => Value;
}
