using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Components;

namespace CancelService.Sandbox.Layout;

/// <summary>
/// The style sheet and the script of the pages, from their files. They stand inline in each page, and the
/// Content-Security-Policy allows exactly these by their hashes.
/// </summary>
internal static class PageAssets
{
    private static readonly string Css = Text("sandbox.css");
    private static readonly string Js = Text("sandbox.js");

    /// <summary>The style sheet's element.</summary>
    public static MarkupString Style { get; } = new($"<style>{Css}</style>");

    /// <summary>The script's element.</summary>
    public static MarkupString Script { get; } = new($"<script>{Js}</script>");

    /// <summary>The policy of every page.</summary>
    public static string Policy { get; } =
        $"default-src 'none'; style-src '{Hash(Css)}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
        + $"script-src '{Hash(Js)}'";

    private static string Hash(string text) =>
        $"sha256-{Convert.ToBase64String(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}";

    private static string Text(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream($"pages/{name}")!;
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
