using System.Text;

namespace CancelService.Doctor;

// Reads a curl command.
public sealed partial record PastedRequest
{
    private static PastedRequest? FromCurl(string text)
    {
        var (method, url, body) = ("", "", (string?)null);
        var headers = new List<KeyValuePair<string, string>>();
        var words = ShellWords.Split(text);
        for (var i = words[0] == "$" ? 2 : 1; i < words.Count; i++)
        {
            var (option, value) = Option(words[i]);
            string Value() => value ?? (i + 1 < words.Count ? words[++i] : "");
            switch (option)
            {
                case "-X" or "--request":
                    method = Value();
                    break;
                case "-H" or "--header":
                    var header = Value();
                    var colon = header.IndexOf(':', StringComparison.Ordinal);
                    if (colon > 0)
                        headers.Add(new(header[..colon], header[(colon + 1)..].Trim(' ', '\t')));
                    break;
                case "-d" or "--data" or "--data-raw" or "--data-binary" or "--data-ascii" or "--json":
                    var part = Value();
                    body = body is null ? part : $"{body}{(option == "--json" ? "" : "&")}{part}";
                    if (option == "--json")
                        headers.Add(new("Content-Type", "application/json"));
                    break;
                case "--url":
                    url = Value();
                    break;
                case "-o"
                or "-u"
                or "-b"
                or "-A"
                or "-e"
                or "-m"
                or "--max-time"
                or "--connect-timeout"
                or "--cacert"
                or "--cert"
                or "--key":
                    Value();
                    break;
                default:
                    if (!option.StartsWith('-'))
                        url = option;
                    break;
            }
        }
        if (url.Length == 0)
            return null;
        // curl adds this header to a body by itself.
        if (body is not null && !headers.Exists(h => h.Key.Equals("Content-Type", StringComparison.OrdinalIgnoreCase)))
            headers.Add(new("Content-Type", "application/x-www-form-urlencoded"));
        return new(
            method.Length > 0 ? method
                : body is null ? "GET"
                : "POST",
            url.Contains("://", StringComparison.Ordinal) ? url : $"http://{url}",
            headers,
            Encoding.UTF8.GetBytes(body ?? ""),
            "curl command"
        );

        // Splits --name=value and -Xvalue.
        static (string Option, string? Value) Option(string word) =>
            word.StartsWith("--", StringComparison.Ordinal)
                ? word.Split('=', 2) is [var name, var rest] && name is "--request" or "--header" or "--data"
                    ? (name, rest)
                    : (word, null)
                : word.Length > 2 && word[0] == '-' && word[1] is 'X' or 'H' or 'd'
                    ? (word[..2], word[2..])
                    : (word, null);
    }
}
