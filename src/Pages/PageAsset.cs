using System.Reflection;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace CancelService.Pages;

/// <summary>
/// A style sheet or a script: an embedded resource at a URL that contains its hash, so that browsers cache it for a
/// year. The policy allows it by 'self': a hash in the policy would need the text inside every page.
/// </summary>
public sealed class PageAsset
{
    private const string Path = "/assets";

    private readonly byte[] _content;
    private readonly string _contentType;

    private PageAsset(byte[] content, string name, string contentType)
    {
        (_content, _contentType) = (content, contentType);
        var hash = Convert.ToHexStringLower(SHA256.HashData(content).AsSpan(0, 8));
        var dot = name.LastIndexOf('.');
        Url = $"{Path}/{name[..dot]}.{hash}{name[dot..]}";
    }

    /// <summary>The style sheet of all pages.</summary>
    public static PageAsset Style { get; } = Resource(typeof(PageAsset).Assembly, "site.css");

    /// <summary>The path under which browsers load it.</summary>
    public string Url { get; }

    /// <summary>Reads an asset from the resources of an assembly.</summary>
    /// <param name="assembly">The assembly.</param>
    /// <param name="name">The logical name of the resource; its extension, css or js, gives the media type.</param>
    public static PageAsset Resource(Assembly assembly, string name)
    {
        ArgumentNullException.ThrowIfNull(assembly);
        ArgumentNullException.ThrowIfNull(name);
        using var stream =
            assembly.GetManifestResourceStream(name)
            ?? throw new ArgumentException($"The assembly has no resource '{name}'.", nameof(name));
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return new PageAsset(
            content,
            name,
            name.EndsWith(".css", StringComparison.Ordinal)
                ? "text/css; charset=utf-8"
                : "text/javascript; charset=utf-8"
        );
    }

    /// <summary>Maps the asset to its URL, for anybody.</summary>
    public void Map(IEndpointRouteBuilder app) => app.MapGet(Url, Answer).ExcludeFromDescription();

    private IResult Answer(HttpContext http)
    {
        http.Response.Headers.CacheControl = "public, max-age=31536000, immutable";
        http.Response.Headers.XContentTypeOptions = "nosniff";
        return Results.Bytes(_content, _contentType);
    }
}
