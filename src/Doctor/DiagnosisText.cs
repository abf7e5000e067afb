using System.Globalization;
using System.Text;

namespace CancelService.Doctor;

/// <summary>Writes a diagnosis for a terminal.</summary>
public static class DiagnosisText
{
    /// <summary>Formats a diagnosis in lines.</summary>
    public static string Of(Diagnosis diagnosis)
    {
        ArgumentNullException.ThrowIfNull(diagnosis);
        var text = new StringBuilder();
        Write(text, diagnosis);
        if (diagnosis.Answer is { } answer)
            Write(text.AppendLine().AppendLine("ITS ANSWER").AppendLine(), answer);
        return text.ToString();
    }

    private static void Write(StringBuilder text, Diagnosis diagnosis)
    {
        text.AppendLine(
            diagnosis.Causes.Count == 0
                ? "Nothing is wrong with this."
                : $"The answer {(diagnosis.Code.Length == 0 ? "can't be read" : $"is {diagnosis.Code}")}. The mistakes:"
        );
        foreach (var cause in diagnosis.Causes)
            text.AppendLine(CultureInfo.InvariantCulture, $"  {cause.Id}: {cause.Text}");
        text.AppendLine().AppendLine("In the order in which the service decides:");
        foreach (var step in diagnosis.Steps)
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"  {(step.Passed ? "ok   " : "WRONG")}  {step.Code, -26}  {step.Text}"
            );
        if (diagnosis.Signature is { Key.Length: > 0 } signature)
            text.AppendLine()
                .AppendLine(
                    CultureInfo.InvariantCulture,
                    $"The signature: made with {signature.Key}, {signature.Hash}, {signature.Padding}; "
                        + $"{signature.Tried} texts compared."
                );
        if (diagnosis.StringToSign is { } ours)
            text.AppendLine()
                .AppendLine(
                    CultureInfo.InvariantCulture,
                    $"The string to sign, {ours.Length} bytes, SHA-256 {ours.Sha256}:"
                )
                .AppendLine(CultureInfo.InvariantCulture, $"  {ours.Visible}")
                .AppendLine("  The same hash by a command:")
                .AppendLine(CultureInfo.InvariantCulture, $"  {ours.Command}");
        if (diagnosis.Difference is { } difference)
            text.AppendLine()
                .AppendLine("The signed string:")
                .AppendLine(CultureInfo.InvariantCulture, $"  {difference.Text}")
                .AppendLine(CultureInfo.InvariantCulture, $"  They differ from byte {difference.Offset} on:")
                .AppendLine(CultureInfo.InvariantCulture, $"    to sign: {difference.Ours}")
                .AppendLine(CultureInfo.InvariantCulture, $"    signed:  {difference.Yours}");
    }
}
