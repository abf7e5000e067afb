namespace CancelService.Protocol;

/// <summary>The body of a request.</summary>
public abstract record RequestBody
{
    /// <summary>The longest body that is read, in bytes.</summary>
    public const int MaxBytes = 64 * 1024;

    private RequestBody() { }

    /// <summary>A body as it came, byte for byte.</summary>
    /// <param name="Bytes">The bytes that were signed.</param>
    /// <param name="Encoding">The header Content-Encoding; empty when it is missing.</param>
    public sealed record Whole(byte[] Bytes, string Encoding) : RequestBody;

    /// <summary>A body that is longer than <see cref="MaxBytes"/>. Nothing of it is kept, so it can't be verified.</summary>
    public sealed record TooLong : RequestBody;
}
