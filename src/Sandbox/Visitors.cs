using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using CancelService.Domain.Clients;

namespace CancelService.Sandbox;

/// <summary>
/// Guards recent requests. A browser sees the requests that the pages sent for it, by a random cookie. A client's own
/// requests are shown to holders of a link: the log has the demo client's, and for every client a signature by its key
/// gives one. Links end with the process, as the requests do.
/// </summary>
internal sealed class Visitors
{
    private const string CookieName = "sandbox-visitor";
    private const int IdBytes = 16;

    private readonly byte[] _secret = RandomNumberGenerator.GetBytes(32);

    /// <summary>Finds the visitor's identifier, or gives one with the answer.</summary>
    public static string Of(HttpContext http)
    {
        if (http.Items.TryGetValue(typeof(Visitors), out var known))
            return (string)known!;
        var visitor = http.Request.Cookies[CookieName];
        if (visitor is null || visitor.Length != IdBytes * 2 || !visitor.All(char.IsAsciiHexDigit))
        {
            visitor = RandomNumberGenerator.GetHexString(IdBytes * 2, lowercase: true);
            http.Response.Cookies.Append(
                CookieName,
                visitor,
                new CookieOptions
                {
                    HttpOnly = true,
                    SameSite = SameSiteMode.Strict,
                    Secure = http.Request.IsHttps,
                    Path = "/sandbox",
                    IsEssential = true,
                }
            );
        }
        http.Items[typeof(Visitors)] = visitor;
        return visitor;
    }

    /// <summary>The path and query of the link to a client's requests.</summary>
    public string LinkTo(string clientId) =>
        $"/sandbox/requests?client={Uri.EscapeDataString(clientId)}&link={TokenOf(clientId)}";

    /// <summary>True when a link's token is the client's.</summary>
    public bool Opens(string clientId, string? token) =>
        CryptographicOperations.FixedTimeEquals(
            Encoding.UTF8.GetBytes(TokenOf(clientId)),
            Encoding.UTF8.GetBytes(token ?? "")
        );

    /// <summary>
    /// The text that a client signs to see its requests. It begins with no HTTP method and holds no line feed, so its
    /// signature signs no request.
    /// </summary>
    public string Challenge(string clientId) => $"sandbox-requests.{clientId}.{Token($"challenge {clientId}")}";

    /// <summary>True when an active key of the client has signed the challenge; the signature is base64.</summary>
    public bool IsSignedBy(Client client, string signature, DateTimeOffset now)
    {
        var text = string.Concat(signature.Where(c => !char.IsWhiteSpace(c)));
        if (!Base64.IsValid(text) || !client.Enabled)
            return false;
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(Challenge(client.Id.Value)));
        var bytes = Convert.FromBase64String(text);
        return client.Keys.Any(key => key.IsActive(now) && key.PublicKey.Verifies(hash, bytes));
    }

    private string TokenOf(string clientId) => Token($"link {clientId}");

    private string Token(string purpose) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(_secret, Encoding.UTF8.GetBytes(purpose)));
}
