using System.Globalization;
using System.Text;

namespace CancelService.Doctor;

/// <summary>Writes bytes visibly, including CR, LF, TAB, NUL, no-break spaces and byte order marks.</summary>
public static class Visible
{
    /// <summary>
    /// Writes bytes as text, with a name for each invisible character and a number for each invalid byte.
    /// </summary>
    public static string Of(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder();
        while (!bytes.IsEmpty)
        {
            if (Rune.DecodeFromUtf8(bytes, out var rune, out var length) is System.Buffers.OperationStatus.Done)
                text.Append(Of(rune));
            else
                text.Append(CultureInfo.InvariantCulture, $"[0x{bytes[0]:X2}]");
            bytes = bytes[length..];
        }
        return text.ToString();
    }

    /// <summary>Writes the first 80 characters of a text.</summary>
    public static string Beginning(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return Of(Encoding.UTF8.GetBytes(text.Length > 80 ? text[..80] + "..." : text));
    }

    /// <summary>Returns a shell command that prints the bytes: <c>printf</c> with escapes.</summary>
    public static string Printf(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder("printf '");
        foreach (var b in bytes)
            text.Append(
                b switch
                {
                    (byte)'\n' => "\\n",
                    (byte)'\\' => "\\\\",
                    (byte)'%' => "%%",
                    >= 0x20 and < 0x7F and not (byte)'\'' => ((char)b).ToString(),
                    _ => "\\" + Convert.ToString(b, 8).PadLeft(3, '0'),
                }
            );
        return text.Append('\'').ToString();
    }

    private static string Of(Rune rune) =>
        rune.Value switch
        {
            '\r' => "␍",
            '\n' => "␊",
            '\t' => "␉",
            0 => "␀",
            0xFEFF => "[BOM]",
            0xA0 => "[NBSP]",
            < 0x20 => ((char)(0x2400 + rune.Value)).ToString(),
            0x7F => "␡",
            _ when Rune.GetUnicodeCategory(rune)
                    is UnicodeCategory.Format
                        or UnicodeCategory.Control
                        or UnicodeCategory.LineSeparator
                        or UnicodeCategory.ParagraphSeparator => $"[U+{rune.Value:X4}]",
            _ when Rune.GetUnicodeCategory(rune) is UnicodeCategory.SpaceSeparator && rune.Value != ' ' =>
                $"[U+{rune.Value:X4}]",
            _ => rune.ToString(),
        };
}
