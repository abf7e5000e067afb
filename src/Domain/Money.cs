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
/// A positive amount of money in minor units (cents) of one currency, at most <see cref="MaxMinorUnits"/>. Integers
/// rule out rounding.
/// </summary>
/// <exception cref="ArgumentOutOfRangeException">The amount is not positive, or too large.</exception>
public readonly record struct Money(long MinorUnits, Currency Currency)
{
    /// <summary>The largest amount.</summary>
    public const long MaxMinorUnits = 1_000_000_000_000_000;

    /// <summary>
    /// The largest balance of an account, in minor units. The sum of a balance and one amount fits 64 bits.
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
