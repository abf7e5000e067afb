using System.Reflection;
using System.Text;

namespace CancelService.Sandbox.Endpoints;

/// <summary>
/// Serves the repository's documents and example clients beside the pages: for readers, and for tools that begin with
/// <c>/llms.txt</c>.
/// </summary>
internal static class SandboxFiles
{
    private static readonly Dictionary<string, string> Files = Assembly
        .GetExecutingAssembly()
        .GetManifestResourceNames()
        .Where(name => name.StartsWith("docs/", StringComparison.Ordinal))
        .ToDictionary(name => name, Text, StringComparer.Ordinal);

    /// <summary>The clients of docs/examples/clients, each with the command that runs it.</summary>
    public static IReadOnlyList<(string Language, string File, string Command)> Clients { get; } =
    [
        ("bash, curl and openssl", "cancel.sh", "bash cancel.sh"),
        ("C#", "cancel.cs", "dotnet run cancel.cs"),
        ("Java", "Cancel.java", "java Cancel.java"),
        ("Node", "cancel.mjs", "node cancel.mjs"),
        ("Python", "cancel.py", "python3 cancel.py"),
        ("PHP", "cancel.php", "php cancel.php"),
        ("Go", "cancel.go", "go run cancel.go"),
    ];

    /// <summary>The text of a client's file.</summary>
    public static string Client(string file) => Files[$"docs/examples/clients/{file}"];

    /// <summary>Maps <c>/docs/…</c> and <c>/llms.txt</c>.</summary>
    public static void MapSandboxFiles(this RouteGroupBuilder pages)
    {
        pages.MapGet("/llms.txt", () => Answer("docs/llms.txt"));
        pages.MapGet("/docs/{**path}", (string path) => Answer($"docs/{path}"));
    }

    private static IResult Answer(string name) =>
        Files.TryGetValue(name, out var text)
            ? Results.Text(
                text,
                name.EndsWith(".md", StringComparison.Ordinal) ? "text/markdown" : "text/plain",
                Encoding.UTF8
            )
            : Results.NotFound();

    private static string Text(string name)
    {
        using var reader = new StreamReader(Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }
}
