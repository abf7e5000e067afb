using System.Globalization;
using CancelService.Protocol;

namespace CancelService.Doctor;

// The wrong ways to sign the time.
internal static partial class Ways
{
    private static IEnumerable<Way<byte[]>> AllTimes(string sent)
    {
        yield return Sent(sent);
        Way<byte[]> Format(string text) => Of("time-format", $"You signed the time as {text}, and sent {sent}.", text);
        if (RequestTime.Read(sent) is RequestTime.At { Time: { Year: > 1 and < 9999 } time })
        {
            var utc = time.ToUniversalTime();
            yield return Format(utc.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture));
            yield return Format(utc.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
            // Likeliest first: the sent zone, UTC, the wallets' usual zone; whole seconds and milliseconds.
            double[] likely = [time.Offset.TotalHours, 0, 8];
            double[] others = [7, 9, 5.5, 1, 2, -5, -8, 3, 4, 5, 6, 6.5, 10, -3, -4, -6, -7];
            string[] brief = ["", ".fff"];
            string[] fine = [".ffffff", ".fffffff"];
            foreach (
                var (zones, fractions) in new[] { (likely, brief), (likely, fine), (others, brief), (others, fine) }
            )
            foreach (var zone in zones)
            foreach (var fraction in fractions)
            {
                var local = utc.ToOffset(TimeSpan.FromHours(zone));
                var text = local.ToString("yyyy-MM-dd'T'HH:mm:ss" + fraction, CultureInfo.InvariantCulture);
                if (zone == 0)
                    yield return Format(text + "Z");
                var offset = local.ToString("zzz", CultureInfo.InvariantCulture);
                yield return Format(text + offset);
                yield return Format(text + offset.Replace(":", "", StringComparison.Ordinal));
                yield return Format(text);
            }
            yield return Format(utc.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture));
            yield return Format(time.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture));
            yield return Format(utc.ToString("R", CultureInfo.InvariantCulture));
            yield return Format(utc.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture));
            yield return Format(time.ToString("yyyyMMddHHmmss", CultureInfo.InvariantCulture));
            yield return Format(utc.ToString("yyyy-MM-dd'T'HH:mm", CultureInfo.InvariantCulture) + "Z");
        }
        yield return Of("time-format", "You signed the time percent-encoded.", Uri.EscapeDataString(sent));
        yield return Of("time-format", "You signed the time with a space for its plus sign.", sent.Replace('+', ' '));
        yield return Of("time-format", "You signed the time in small letters.", sent.ToLowerInvariant());
        yield return Of("time-format", "You signed the time with a space before it.", " " + sent);
        yield return Of("time-format", "You signed the time with a space behind it.", sent + " ");
        yield return Of("time-format", "You signed the time with a line feed behind it.", sent + "\n");
        yield return Of("time-format", "You signed with nothing in the time's place.", "");
        yield return Of("time-format", "You signed the word null in the time's place.", "null");
        yield return Of("time-format", "You signed the word undefined in the time's place.", "undefined");
        yield return Of("time-format", "You signed the time in double quotes.", $"\"{sent}\"");
    }

    // A client that reads the clock twice signs a slightly earlier or later time than it sends, in the same form.
    public static IEnumerable<Way<byte[]>> Moments(string sent)
    {
        if (RequestTime.Read(sent) is not RequestTime.At { Time: { Year: > 1 and < 9999 } time })
            yield break;
        var isNumber = sent.All(char.IsAsciiDigit);
        var dot = sent.IndexOf('.', StringComparison.Ordinal);
        var digits = dot < 0 ? 0 : sent.AsSpan(dot + 1).IndexOfAnyExceptInRange('0', '9');
        var (step, count) =
            isNumber || digits == 3 ? (TimeSpan.FromMilliseconds(1), 1500)
            : digits <= 0 ? (TimeSpan.FromSeconds(1), 400)
            : (TimeSpan.FromMicroseconds(1), digits >= 6 ? 2000 : 0);
        var zone = sent.IndexOfAny(['Z', '+', '-'], Math.Min(sent.Length, 11)) is > 0 and var at ? sent[at..] : "";
        for (var i = 1; i <= count; i++)
            foreach (var moment in (DateTimeOffset[])[time - (step * i), time + (step * i)])
            {
                var text = isNumber
                    ? moment.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture)
                    : moment.ToString(
                        "yyyy-MM-dd'T'HH:mm:ss" + (digits > 0 ? "." + new string('f', Math.Min(digits, 7)) : ""),
                        CultureInfo.InvariantCulture
                    ) + zone;
                yield return Of("time-moment", $"You signed another moment, {text}, than you sent, {sent}.", text);
            }
    }
}
