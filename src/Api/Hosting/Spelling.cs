namespace CancelService.Api.Hosting;

/// <summary>Guesses the name that a mistyped name stands for.</summary>
internal static class Spelling
{
    /// <summary>Finds the nearest known name; null when none is near enough to be meant.</summary>
    public static string? Nearest(string name, IEnumerable<string> known) =>
        known
            .Select(other => (Name: other, Distance: IsBeginning(name, other) ? 0 : Distance(name, other)))
            .Where(other => other.Distance <= Math.Max(2, name.Length / 3))
            .OrderBy(other => other.Distance)
            .FirstOrDefault()
            .Name;

    /// <summary>Counts the letters to change, add or remove, regardless of case (Levenshtein distance).</summary>
    public static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var change = char.ToUpperInvariant(a[i - 1]) == char.ToUpperInvariant(b[j - 1]) ? 0 : 1;
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + change));
            }
        }
        return row[^1];
    }

    private static bool IsBeginning(string name, string known) =>
        name.Length >= 4 && known.StartsWith(name, StringComparison.OrdinalIgnoreCase);
}
