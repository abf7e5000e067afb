using CancelService.Domain;

namespace CancelService.Application.Reading;

/// <summary>A page of a list; <c>next</c> is the cursor of the next page, and null on the last.</summary>
public sealed record Page<T>(IReadOnlyList<T> Items, string? Next);

/// <summary>Cuts pages.</summary>
public static class Page
{
    /// <summary>A page of items that were read with one more than its size, to see whether there is a next one.</summary>
    public static Page<T> Of<T>(IReadOnlyList<T> items, int limit, Func<T, string> cursor)
    {
        ArgumentNullException.ThrowIfNull(items);
        ArgumentNullException.ThrowIfNull(cursor);
        return items.Count > limit ? new([.. items.Take(limit)], cursor(items[limit - 1])) : new(items, null);
    }
}

/// <summary>An amount: minor units of a currency.</summary>
public sealed record MoneyView(long MinorUnits, string Currency)
{
    /// <summary>The view of an amount.</summary>
    public static MoneyView Of(Money money) => new(money.MinorUnits, money.Currency.Code);
}
