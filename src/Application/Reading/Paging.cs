using CancelService.Domain;

namespace CancelService.Application.Reading;

/// <summary>A page of a list.</summary>
/// <param name="Items">The items of the page.</param>
/// <param name="Next">
/// The cursor for the parameter after. It is null on the last page of a list, and on an empty page of a feed: then poll
/// again with the same cursor.
/// </param>
public sealed record Page<T>(IReadOnlyList<T> Items, string? Next);

/// <summary>Makes pages.</summary>
public static class Page
{
    /// <summary>
    /// Makes a page from up to <paramref name="limit"/> + 1 items: the extra item proves a next page.
    /// </summary>
    public static Page<T> Of<T>(IReadOnlyList<T> items, int limit, Func<T, string> cursor)
    {
        ArgumentNullException.ThrowIfNull(items);
        ArgumentNullException.ThrowIfNull(cursor);
        return items.Count > limit ? new([.. items.Take(limit)], cursor(items[limit - 1])) : new(items, null);
    }
}

/// <summary>An amount of money.</summary>
/// <param name="MinorUnits">The amount in minor units (cents) of the currency, 1 to 10^15.</param>
/// <param name="Currency">The currency, three letters (ISO 4217).</param>
public sealed record MoneyView(long MinorUnits, string Currency)
{
    /// <summary>Converts an amount.</summary>
    public static MoneyView Of(Money money) => new(money.MinorUnits, money.Currency.Code);
}
