namespace CancelService.Domain;

/// <summary>An ISO 4217 currency, by its three capital letters.</summary>
/// <exception cref="ArgumentException">The code is not three capital ASCII letters.</exception>
public readonly record struct Currency(string Code)
{
    /// <summary>The three letters, such as <c>USD</c>.</summary>
    public string Code { get; } =
        IsWellFormed(Code) ? Code : throw new ArgumentException("A currency is three capital letters.", nameof(Code));

    /// <summary>Tells whether <paramref name="code"/> has the form of an ISO 4217 code.</summary>
    public static bool IsWellFormed(string? code) => code is { Length: 3 } && code.All(char.IsAsciiLetterUpper);

    /// <inheritdoc/>
    public override string ToString() => Code;
}

/// <summary>
/// An amount of a payment: minor units (cents) of one currency, from 1 to <see cref="MaxMinorUnits"/>.
/// Integers, because money that is rounded is money lost.
/// </summary>
/// <exception cref="ArgumentOutOfRangeException">The amount is not positive, or too large.</exception>
public readonly record struct Money(long MinorUnits, Currency Currency)
{
    /// <summary>The largest amount.</summary>
    public const long MaxMinorUnits = 1_000_000_000_000_000;

    /// <summary>
    /// The largest balance of an account: a thousand of the largest amounts. A balance and what is added to it in one step
    /// fit 64 bits.
    /// </summary>
    public const long MaxBalance = 1_000 * MaxMinorUnits;

    /// <summary>The amount in minor units.</summary>
    public long MinorUnits { get; } =
        MinorUnits is > 0 and <= MaxMinorUnits
            ? MinorUnits
            : throw new ArgumentOutOfRangeException(nameof(MinorUnits), "An amount is 1 to 10^15 minor units.");

    /// <inheritdoc/>
    public override string ToString() => $"{MinorUnits} {Currency}";
}
