using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace CancelService.Infrastructure.Notifications;

/// <summary>
/// Signs events by the Standard Webhooks specification: HMAC-SHA256 over <c>webhook-id . webhook-timestamp . body</c>.
/// The secrets sign nothing else, so no answer can pass for an event, nor an event for an answer.
/// </summary>
/// <remarks>
/// The signed text is unambiguous: the identifier is a UUID and the timestamp has digits only, so the first two dots
/// end them.
/// </remarks>
public sealed class EventSignature
{
    /// <summary>The most secrets that sign at a time: the old and the new secret of a rotation.</summary>
    public const int MaxSecrets = 2;

    private const string SecretPrefix = "whsec_";

    private readonly List<byte[]> _secrets;

    /// <summary>Reads the secrets.</summary>
    /// <exception cref="FormatException">A text is no secret that <see cref="IsSecret"/> accepts.</exception>
    public EventSignature(IEnumerable<string> secrets) =>
        _secrets = [
            .. secrets.Select(text =>
                Decode(text) ?? throw new FormatException("A secret is whsec_ and the base64 of 24 to 64 bytes.")
            ),
        ];

    /// <summary>
    /// Returns true for <c>whsec_</c> and the base64 of 24 to 64 bytes, as the specification requires.
    /// </summary>
    public static bool IsSecret(string? text) => Decode(text) is not null;

    /// <summary>Generates a secret of 32 random bytes.</summary>
    public static string NewSecret() => SecretPrefix + Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));

    /// <summary>Signs an event that is sent at <paramref name="now"/>, and returns its headers.</summary>
    public IEnumerable<(string Name, string Value)> Headers(Guid eventId, DateTimeOffset now, ReadOnlySpan<byte> body)
    {
        var id = eventId.ToString();
        var timestamp = now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        byte[] signed = [.. Encoding.ASCII.GetBytes($"{id}.{timestamp}."), .. body];
        // One signature per secret, so that the receiver may switch at any time during a rotation.
        var signatures = _secrets.Select(secret => $"v1,{Convert.ToBase64String(HMACSHA256.HashData(secret, signed))}");
        return
        [
            ("webhook-id", id),
            ("webhook-timestamp", timestamp),
            ("webhook-signature", string.Join(' ', signatures)),
        ];
    }

    private static byte[]? Decode(string? text) =>
        text is not null
        && text.StartsWith(SecretPrefix, StringComparison.Ordinal)
        && Base64.IsValid(text.AsSpan(SecretPrefix.Length))
        && Convert.FromBase64String(text[SecretPrefix.Length..]) is { Length: >= 24 and <= 64 } secret
            ? secret
            : null;
}
