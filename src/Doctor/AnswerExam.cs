using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using CancelService.Protocol;

namespace CancelService.Doctor;

/// <summary>
/// Explains why an answer of the wallet does not verify at its receiver. The signature proves the signed text, so the
/// pasted text and the receiver's text are compared with it.
/// </summary>
internal sealed class AnswerExam(Practice practice)
{
    /// <summary>
    /// The mistake of an answer that does not hold what the wallet has signed, as far as can be told.
    /// </summary>
    public const string Changed = "answer-changed";

    private readonly List<DiagnosisStep> _steps = [];
    private readonly List<Mistake> _causes = [];

    /// <summary>Examines an answer, and the text and key with which the receiver verifies it.</summary>
    public Diagnosis Examine(PastedRequest answer, ExaminedClient? client, Receiver receiver)
    {
        var clientId = Once(answer, "client-id");
        var time = Once(answer, "response-time");
        SignatureHeader? header = null;
        if (Once(answer, "signature") is { } value && SignatureHeader.TryParse(value, out header))
            Passed("The headers client-id, response-time and signature are there.");
        else if (answer.Header("signature").Count == 1)
            Failed("signature-header", "The header signature has lost its members: it was cut on its way.");

        TextFinding? text = null;
        SignatureFinding? signature = null;
        Difference? difference = null;
        if (clientId is not null && time is not null)
        {
            var parts = new SignedParts("POST", answer.Target, "", clientId, time, answer.Body);
            var right = Candidates(parts).Right();
            if (header is not null)
                (signature, right, difference) = Signature(header, client, parts, right);
            text = TextFinding.Of(right);
            if (receiver.Text.Length > 0)
                difference = Verified(receiver.Text, parts, right) ?? difference;
        }
        if (receiver.Key.Length > 0)
            Key(receiver.Key, client);
        return new(CodeOf(answer.Body), _causes, _steps, signature, text, difference);
    }

    // Finds the signing key and the signed text, which is right whatever was pasted.
    private (SignatureFinding, byte[] Signed, Difference?) Signature(
        SignatureHeader header,
        ExaminedClient? client,
        SignedParts parts,
        byte[] pasted
    )
    {
        var keys = practice
            .StrangeKeys.Select(key => new ExamKey(key.Owner, Keys.Parameters(key.PublicKeyPem)))
            .Concat((client?.Keys ?? []).Select(key => new ExamKey("your own key", Keys.Parameters(key.PublicKeyPem))))
            .ToList();
        if (SignatureExam.Open(header.Signature, keys).FirstOrDefault(one => IsOfTheScheme(one.Hash)) is not { } opened)
        {
            Failed(
                "answer-forged",
                "No key that is known here has made this signature. The answer is of another wallet or "
                    + "environment, or its signature was changed on its way: don't believe it."
            );
            return (new("", "", "", 0), pasted, null);
        }
        if (opened.Key != keys[0])
        {
            Failed("answer-forged", $"The answer was signed with {opened.Key.Owner}: it is none of the wallet's.");
            return (new(opened.Key.Owner, "", "", 0), pasted, null);
        }
        foreach (var mistake in opened.Encoding)
            Failed(mistake.Id, $"{mistake.Text} The wallet sent it in base64, percent-encoded: decode it once.");

        var candidates = Candidates(parts);
        var found = candidates.Find(opened.Hash);
        var finding = new SignatureFinding(
            opened.Key.Owner,
            opened.Hash.Algorithm.Name!,
            opened.Hash.Padding.ToString(),
            candidates.Tried
        );
        if (found is not var (mistakes, signed))
        {
            Failed(
                Changed,
                "The wallet signed another text than these headers and this body, and none of the "
                    + $"{candidates.Tried} that were tried. Keep the body's bytes as they came, and take the "
                    + "answer's own headers."
            );
            return (finding, pasted, null);
        }
        if (mistakes.Count == 0)
            Passed($"{opened.Key.Owner} has signed these headers and this body: the answer is genuine.");
        Failed(mistakes, "The wallet signed", "the pasted text", "and you pasted");
        return (finding, signed, mistakes.Count == 0 ? null : Difference.Between(signed, pasted));
    }

    // Compares the receiver's text, or its hash, with the signed text.
    private Difference? Verified(string given, SignedParts parts, byte[] right)
    {
        var isHash = given.Length == 64 && given.All(char.IsAsciiHexDigit);
        var text = Encoding.UTF8.GetBytes(given);
        var hash = isHash ? Convert.FromHexString(given) : SHA256.HashData(text);
        if (hash.AsSpan().SequenceEqual(SHA256.HashData(right)))
        {
            Passed("You verify the text that the wallet has signed.");
            return null;
        }
        var candidates = Candidates(parts);
        if (candidates.Find(SignedHash.Of(hash)) is not var (mistakes, yours))
        {
            Failed(
                "verifies-unknown",
                $"You verify another text than the wallet has signed, and none of the {candidates.Tried} that "
                    + "were tried. Compare it with the string below, byte by byte."
            );
            return isHash ? null : Difference.Between(right, text);
        }
        Failed(mistakes, "You verify", "the received text", "and received");
        return Difference.Between(right, yours);
    }

    private void Key(string given, ExaminedClient? client)
    {
        if (!PublicKeyText.TryRead(given, out var der, out var problem))
        {
            Failed("key-unreadable", problem);
            return;
        }
        var fingerprint = Keys.Fingerprint(PemEncoding.WriteString("PUBLIC KEY", der));
        var wallet = practice.StrangeKeys[0].PublicKeyPem;
        if (fingerprint == Keys.Fingerprint(wallet))
            Passed("You verify with the wallet's public key.");
        else if (client?.Keys.FirstOrDefault(own => Keys.Fingerprint(own.PublicKeyPem) == fingerprint) is { } own)
            Failed(
                "key-own",
                $"You verify with your own key of version {own.Version}. Answers are signed with the wallet's: "
                    + $"{Keys.Fingerprint(wallet)}."
            );
        else
            Failed(
                "key-unknown",
                $"You verify with the key {fingerprint}, which is not known here. The wallet's of this "
                    + $"environment is {Keys.Fingerprint(wallet)}."
            );
    }

    // The wallet signs only with PKCS#1 v1.5 and SHA-256, so another signature is not the wallet's.
    private static bool IsOfTheScheme(SignedHash hash) =>
        hash.Padding is SignaturePadding.Pkcs1 && hash.Algorithm == HashAlgorithmName.SHA256;

    private Candidates Candidates(SignedParts parts) => Doctor.Candidates.Of(parts, practice);

    private string? Once(PastedRequest answer, string name)
    {
        var values = answer.Header(name);
        if (values.Count != 1)
            Failed(
                values.Count == 0 ? "header-missing" : "header-twice",
                values.Count == 0
                    ? $"The answer has no header {name}: it is not of the API, but of a proxy, or a plain 503. "
                        + "Don't believe it, and repeat the request."
                    : $"The answer has the header {name} more than once: something on its way has changed it."
            );
        return values.Count == 0 ? null : values[0];
    }

    private void Passed(string text) => _steps.Add(new("", true, text));

    private void Failed(string mistake, string text)
    {
        _steps.Add(new("", false, text));
        _causes.Add(new(mistake, text));
    }

    // The texts address a request's signer; here the wallet has signed, and the reader verifies.
    private void Failed(IEnumerable<Mistake> mistakes, string signed, string sentText, string andSent)
    {
        foreach (var mistake in mistakes)
            Failed(
                mistake.Id,
                mistake
                    .Text.Replace("You signed", signed, StringComparison.Ordinal)
                    .Replace("the sent text", sentText, StringComparison.Ordinal)
                    .Replace("and sent", andSent, StringComparison.Ordinal)
            );
    }

    private static string CodeOf(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.GetProperty("result").GetProperty("resultCode").GetString() ?? "";
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            return "";
        }
    }
}
