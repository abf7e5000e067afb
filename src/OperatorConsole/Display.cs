using System.Globalization;
using System.Text.Json;
using CancelService.Application.Reading;

namespace CancelService.OperatorConsole;

/// <summary>Writes values for operators: times in UTC, amounts in minor units.</summary>
public static class Display
{
    /// <summary>Writes a time to the millisecond.</summary>
    public static string Time(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    /// <summary>Writes a member of an enum as the internal API does.</summary>
    public static string Name<T>(T value)
        where T : struct, Enum => JsonNamingPolicy.SnakeCaseUpper.ConvertName(value.ToString());

    /// <summary>Writes an amount with its currency.</summary>
    public static string Money(MoneyView amount)
    {
        ArgumentNullException.ThrowIfNull(amount);
        return $"{Number(amount.MinorUnits)} {amount.Currency}";
    }

    /// <summary>Writes a number with separators.</summary>
    public static string Number(long number) => number.ToString("N0", CultureInfo.InvariantCulture);
}
