using System.Text;
using CancelService.Doctor;
using static CancelService.UnitTests.Doctor.Corpus;

namespace CancelService.UnitTests.Doctor;

/// <summary>Goal: the doctor names every mistake of the corpus.</summary>
public sealed class MistakesTests
{
    public static TheoryData<string> Mistakes() =>
        [
            .. Directory
                .GetFiles(Folder, "*.http")
                .Select(path => Path.GetFileNameWithoutExtension(path)!)
                .Order(StringComparer.Ordinal),
        ];

    [Theory]
    [MemberData(nameof(Mistakes))]
    public void The_doctor_names_the_mistake(string mistake)
    {
        var file = File.ReadAllBytes(Path.Combine(Folder, mistake + ".http"));
        var end = file.AsSpan().IndexOf((byte)'\n');
        var causes = Encoding.UTF8.GetString(file.AsSpan(0, end))["causes:".Length..];

        var diagnosis = Examine(file[(end + 1)..]);

        Sorted(diagnosis.Causes.Select(cause => cause.Id))
            .ShouldBe(Sorted(causes.Split(' ', StringSplitOptions.RemoveEmptyEntries)), DiagnosisText.Of(diagnosis));
        diagnosis.Code.ShouldBe(
            diagnosis.Causes.Count == 0 ? "SUCCESS" : diagnosis.Steps.First(step => !step.Passed).Code
        );
        (diagnosis.Signature?.Tried ?? 0).ShouldBeLessThanOrEqualTo(32_000);
    }

    [Fact]
    public void The_corpus_has_more_than_150_mistakes() => Mistakes().Count.ShouldBeGreaterThan(150);

    private static string Sorted(IEnumerable<string> causes) => string.Join(' ', causes.Order(StringComparer.Ordinal));
}
