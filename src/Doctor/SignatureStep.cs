using System.Security.Cryptography;
using CancelService.Protocol;

namespace CancelService.Doctor;

/// <summary>Examines code 7, the signature.</summary>
internal sealed class SignatureStep(Practice practice, Findings findings, DateTimeOffset now)
{
    /// <summary>Finds the signing key, the signed text, and its difference from the right text.</summary>
    public (SignatureFinding Finding, Difference? Difference) Look(
        SignatureHeader header,
        ExaminedClient? client,
        ExaminedKey? expected,
        Candidates candidates,
        byte[] right
    )
    {
        if (!header.IsRsa256)
            Mistaken(
                "algorithm",
                $"The header Signature says algorithm={Visible.Beginning(header.Algorithm!)}; it must be "
                    + "RSA256, or left out."
            );
        var own = (client?.Keys ?? []).OrderByDescending(key => key == expected).ToList();
        List<ExamKey> keys =
        [
            .. own.Select(key => new ExamKey(
                $"your key of version {key.Version} ({State(key, now)})",
                Keys.Parameters(key.PublicKeyPem)
            )),
            .. practice.StrangeKeys.Select(key => new ExamKey(key.Owner, Keys.Parameters(key.PublicKeyPem))),
        ];
        (IReadOnlyList<Mistake> Mistakes, byte[] Text)? signed = null;
        Opened? opened = null;
        foreach (var one in SignatureExam.Open(header.Signature, keys).Take(8))
        {
            signed = candidates.Find(one.Hash);
            if (signed is null && !one.Hash.IsCertain)
                continue;
            opened = one;
            break;
        }
        if (opened is null)
        {
            var why = SignatureExam.WhyNone(header.Signature, keys);
            Mistaken(why.Id, $"{why.Text} {Fingerprints(own)}");
            return (new("", "", "", candidates.Tried), null);
        }

        NameKey(opened, keys, own, expected);
        foreach (var mistake in opened.Encoding)
            Mistaken(mistake.Id, mistake.Text);
        var hash = opened.Hash;
        NameHash(hash);
        foreach (var mistake in signed?.Mistakes ?? [])
            Mistaken(mistake.Id, mistake.Text);
        if (signed is null)
            Mistaken(
                "text-unknown",
                $"Another text was signed than the string to sign, and it is none of the {candidates.Tried} "
                    + "that were tried. Compare what you sign with the string to sign below, byte by byte."
            );
        if (!findings.Has(ResultCode.InvalidSignature))
            findings.Look(
                ResultCode.InvalidSignature,
                "",
                $"The signature was made with {opened.Key.Owner}, over this string.",
                ""
            );
        return (
            new(opened.Key.Owner, hash.Algorithm.Name!, hash.Padding.ToString(), candidates.Tried),
            signed is { Mistakes.Count: > 0, Text: var yours } ? Difference.Between(right, yours) : null
        );
    }

    private void NameKey(Opened opened, List<ExamKey> keys, List<ExaminedKey> own, ExaminedKey? expected)
    {
        var index = keys.IndexOf(opened.Key);
        if (index >= own.Count)
            Mistaken(
                practice.StrangeKeys[index - own.Count].Id,
                $"The signature was made with {opened.Key.Owner}. Sign with the private key of yours. "
                    + $"{Fingerprints(own)}"
            );
        else if (own[index] != expected && expected is not null)
            Mistaken(
                "key-version",
                $"The signature was made with {opened.Key.Owner}, and is verified with version "
                    + $"{expected.Version}. Send keyVersion={own[index].Version}."
            );
    }

    private void NameHash(SignedHash hash)
    {
        if (hash.Padding is SignaturePadding.Pss)
            Mistaken("padding", "The signature is padded by PSS; the scheme wants PKCS#1 v1.5.");
        else if (hash.Padding is SignaturePadding.Pkcs1WithoutHashName)
            Mistaken(
                "padding",
                "The signature does not name its hash (\"NONEwithRSA\", or encryption with the private key). "
                    + "Use the function for SHA256withRSA."
            );
        if (hash.Algorithm != HashAlgorithmName.SHA256)
            Mistaken("hash", $"The signature is over {hash.Algorithm.Name}; the scheme wants SHA-256.");
    }

    private void Mistaken(string id, string text) => findings.Look(ResultCode.InvalidSignature, id, "", text);

    private static string Fingerprints(List<ExaminedKey> keys) =>
        keys.Count == 0
            ? ""
            : "Compare openssl pkey -in private.pem -pubout -outform DER | openssl dgst -sha256 with "
                + string.Join(", ", keys.Select(key => $"version {key.Version}: {Keys.Fingerprint(key.PublicKeyPem)}"))
                + ".";

    /// <summary>Returns the key's validity in a word.</summary>
    public static string State(ExaminedKey key, DateTimeOffset now) =>
        key switch
        {
            { RevokedAt: not null } => "revoked",
            { NotBefore: { } from } when now < from => "not valid yet",
            { NotAfter: { } end } when now >= end => "expired",
            _ => "active",
        };
}
