using System.Security.Cryptography;

namespace CancelService.Doctor;

/// <summary>What the doctor found.</summary>
/// <param name="Code">
/// The code that the request gets, as far as it can be told without the payment; SUCCESS stands for that. Of an answer, its own
/// code; empty when its body has none.
/// </param>
/// <param name="Causes">The mistakes that were found; empty when all is right.</param>
/// <param name="Steps">What was looked at, in the order in which the service decides.</param>
/// <param name="Signature">What the signature says; absent when it could not be looked at.</param>
/// <param name="StringToSign">
/// The string to sign of this request, or the one that the wallet has signed of an answer; absent when there is no time, or too
/// long a body.
/// </param>
/// <param name="Difference">Where what was signed differs from it; absent when it does not, or when it is not known.</param>
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
    /// What is wrong with the answer, where the pasted text is an HAR entry: it holds the request and its answer. Otherwise absent.
    /// </summary>
    public Diagnosis? Answer { get; init; }
}

/// <summary>A step of the service's decision.</summary>
/// <param name="Code">The code that it would refuse with; empty for an answer.</param>
/// <param name="Passed">Whether the request passes it.</param>
/// <param name="Text">What was found, in a sentence.</param>
public sealed record DiagnosisStep(string Code, bool Passed, string Text);

/// <summary>What a signature says of itself.</summary>
/// <param name="Key">Whose key has made it; empty when none that is known has.</param>
/// <param name="Hash">The hash that was signed: <c>SHA256</c>; empty when the key is not known.</param>
/// <param name="Padding">How it was padded.</param>
/// <param name="Tried">How many texts were compared with the hash.</param>
public sealed record SignatureFinding(string Key, string Hash, string Padding, int Tried);

/// <summary>A text, so that every byte can be seen.</summary>
/// <param name="Visible">With what has no glyph named.</param>
/// <param name="Hex">The bytes in hexadecimal.</param>
/// <param name="Length">How many bytes there are.</param>
/// <param name="Sha256">The hash that is signed, in hexadecimal.</param>
/// <param name="Command">A shell command that prints the same hash.</param>
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

/// <summary>Where two texts part.</summary>
/// <param name="Offset">The first byte that differs, from 0.</param>
/// <param name="Ours">The string to sign from there on, made visible, a few bytes.</param>
/// <param name="Yours">What was signed from there on.</param>
/// <param name="Text">The whole text that was signed, made visible.</param>
public sealed record Difference(int Offset, string Ours, string Yours, string Text)
{
    // How many bytes are shown of where two texts part.
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

/// <summary>What somebody who received an answer says of how it is verified; empty is what was not said.</summary>
/// <param name="Text">The text that is verified, or its SHA-256 in hexadecimal.</param>
/// <param name="Key">The public key that it is verified with, in any form that <see cref="CancelService.Protocol.PublicKeyText.TryRead"/> reads.</param>
public sealed record Receiver(string Text, string Key)
{
    /// <summary>Nothing was said.</summary>
    public static Receiver Silent { get; } = new("", "");
}
