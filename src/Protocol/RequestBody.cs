namespace CancelService.Protocol;

/// <summary>The body of a request.</summary>
public abstract record RequestBody
{
    /// <summary>The longest accepted body: 64 KiB, by the wallet's decision.</summary>
    public const int MaxBytes = 64 * 1024;

    private RequestBody() { }

    /// <summary>A body, byte for byte as it was received.</summary>
    /// <param name="Bytes">The signed bytes.</param>
    /// <param name="Encoding">The header Content-Encoding; empty when it is missing.</param>
    public sealed record Whole(byte[] Bytes, string Encoding) : RequestBody;

    /// <summary>A body over <see cref="MaxBytes"/>. It is discarded, so it can't be verified.</summary>
    public sealed record TooLong : RequestBody;
}
