using System.Globalization;
using System.Text;

namespace CancelService.Doctor;

/// <summary>
/// Splits a command line as a POSIX shell does, with the quotes <c>'…'</c>, <c>"…"</c> and <c>$'…'</c>.
/// </summary>
internal static class ShellWords
{
    public static List<string> Split(string text)
    {
        var (words, word, inWord) = (new List<string>(), new StringBuilder(), false);
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            if (char.IsWhiteSpace(c))
            {
                if (inWord)
                    words.Add(word.ToString());
                word.Clear();
                inWord = false;
                continue;
            }
            if (c == '\\' && i + 1 < text.Length)
            {
                i++;
                if (text[i] == '\r' && i + 1 < text.Length && text[i + 1] == '\n')
                    i++;
                if (text[i] == '\n')
                    continue; // The command goes on in the next line.
                word.Append(text[i]);
            }
            else if (c == '\'')
                i = Until(text, i + 1, '\'', word, escapes: "");
            else if (c == '"')
                i = Until(text, i + 1, '"', word, escapes: "\"\\$`\n");
            else if (c == '$' && i + 1 < text.Length && text[i + 1] == '\'')
                i = Ansi(text, i + 2, word);
            else
                word.Append(c);
            inWord = true;
        }
        if (inWord)
            words.Add(word.ToString());
        return words.Count > 0 ? words : [""];
    }

    private static int Until(string text, int i, char quote, StringBuilder word, string escapes)
    {
        for (; i < text.Length && text[i] != quote; i++)
        {
            if (text[i] == '\\' && i + 1 < text.Length && escapes.Contains(text[i + 1], StringComparison.Ordinal))
            {
                i++;
                if (text[i] == '\n')
                    continue;
            }
            word.Append(text[i]);
        }
        return i;
    }

    private static int Ansi(string text, int i, StringBuilder word)
    {
        for (; i < text.Length && text[i] != '\''; i++)
        {
            if (text[i] != '\\' || i + 1 == text.Length)
            {
                word.Append(text[i]);
                continue;
            }
            i++;
            if (
                text[i] == 'u'
                && i + 4 < text.Length
                && ushort.TryParse(
                    text.AsSpan(i + 1, 4),
                    NumberStyles.HexNumber,
                    CultureInfo.InvariantCulture,
                    out var unit
                )
            )
            {
                word.Append((char)unit);
                i += 4;
                continue;
            }
            word.Append(
                text[i] switch
                {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    var c => c,
                }
            );
        }
        return i;
    }
}
