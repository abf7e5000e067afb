using System.Security.Cryptography;

namespace CancelService.Doctor;

/// <summary>The result of an examination.</summary>
/// <param name="Code">
/// The resultCode of the request before the payment's state is checked; SUCCESS when no rule so far refuses it. For an
/// answer, the resultCode in its body; empty without one.
/// </param>
/// <param name="Causes">The mistakes; empty when there is no mistake.</param>
/// <param name="Steps">The checks, in the order in which the service decides.</param>
/// <param name="Signature">The contents of the signature; null when it could not be examined.</param>
/// <param name="StringToSign">
/// The request's string to sign, or the string that the wallet signed for an answer; null without a time, or when the
/// body is too long.
/// </param>
/// <param name="Difference">
/// The first difference between the signed string and the string to sign; null when they are equal, or the signed
/// string is unknown.
/// </param>
public sealed record Diagnosis(
    string Code,
    IReadOnlyList<Mistake> Causes,
    IReadOnlyList<DiagnosisStep> Steps,
    SignatureFinding? Signature,
    TextFinding? StringToSign,
    Difference? Difference
)
{
    /// <summary>
    /// The diagnosis of the answer in a pasted HAR entry, which holds a request and its answer; null for other texts.
    /// </summary>
    public Diagnosis? Answer { get; init; }
}

/// <summary>A check of the service.</summary>
/// <param name="Code">The resultCode of its refusal; empty for an answer.</param>
/// <param name="Passed">Whether the check is passed.</param>
/// <param name="Text">The finding, in a sentence.</param>
public sealed record DiagnosisStep(string Code, bool Passed, string Text);

/// <summary>The contents of a signature.</summary>
/// <param name="Key">The owner of the key that signed; empty for an unknown key.</param>
/// <param name="Hash">The hash algorithm, such as <c>SHA256</c>; empty for an unknown key.</param>
/// <param name="Padding">The padding: Pkcs1, Pkcs1WithoutHashName or Pss; empty for an unknown key.</param>
/// <param name="Tried">The number of texts that were compared with the signed hash.</param>
public sealed record SignatureFinding(string Key, string Hash, string Padding, int Tried);

/// <summary>A text in forms that show every byte.</summary>
/// <param name="Visible">The text with a name in place of each invisible character.</param>
/// <param name="Hex">The bytes in hexadecimal.</param>
/// <param name="Length">The length in bytes.</param>
/// <param name="Sha256">The SHA-256 of the text, in hexadecimal.</param>
/// <param name="Command">A shell command that prints the same SHA-256.</param>
public sealed record TextFinding(string Visible, string Hex, int Length, string Sha256, string Command)
{
    internal static TextFinding Of(byte[] text) =>
        new(
            Doctor.Visible.Of(text),
            Convert.ToHexStringLower(text),
            text.Length,
            Convert.ToHexStringLower(SHA256.HashData(text)),
            Doctor.Visible.Printf(text) + " | openssl dgst -sha256"
        );
}

/// <summary>The first difference between the string to sign and the signed string.</summary>
/// <param name="Offset">The offset of the first different byte, from 0.</param>
/// <param name="Ours">The string to sign from the offset on: at most 24 bytes, made visible.</param>
/// <param name="Yours">The signed string from the offset on: at most 24 bytes, made visible.</param>
/// <param name="Text">The whole signed string, made visible.</param>
public sealed record Difference(int Offset, string Ours, string Yours, string Text)
{
    private const int Window = 24;

    internal static Difference Between(byte[] ours, byte[] yours)
    {
        var offset = ours.AsSpan().CommonPrefixLength(yours);
        return new(
            offset,
            Visible.Of(ours.AsSpan(offset, Math.Min(Window, ours.Length - offset))),
            Visible.Of(yours.AsSpan(offset, Math.Min(Window, yours.Length - offset))),
            Visible.Of(yours)
        );
    }
}

/// <summary>The text and the key with which a receiver verifies an answer; empty when not given.</summary>
/// <param name="Text">The verified text, or its SHA-256 in hexadecimal.</param>
/// <param name="Key">
/// The public key, in any form that <see cref="CancelService.Protocol.PublicKeyText.TryRead"/> reads.
/// </param>
public sealed record Receiver(string Text, string Key)
{
    /// <summary>A receiver that gave neither text nor key.</summary>
    public static Receiver Silent { get; } = new("", "");
}
