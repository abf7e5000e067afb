using CancelService.Protocol;

namespace CancelService.Doctor;

/// <summary>
/// Collects the checks. The first failed check gives the code; every failed check is a cause.
/// </summary>
internal sealed class Findings(bool cameNow)
{
    private (int Step, Mistake Mistake)? _age;

    public List<DiagnosisStep> Steps { get; } = [];

    public List<Mistake> Causes { get; } = [];

    public string Code => Steps.Find(step => !step.Passed)?.Code ?? ResultCode.Success.Code;

    public bool Has(ResultCode code) => Steps.Exists(step => step.Code == code.Code);

    public void Look(ResultCode code, string mistake, string good, string bad)
    {
        var passed = mistake.Length == 0;
        Steps.Add(new(code.Code, passed, passed ? good : bad));
        if (!passed)
            Causes.Add(new(mistake, bad));
    }

    public void LookAtTime(string mistake, string good, string bad, bool mayBeOld)
    {
        if (!mayBeOld || cameNow)
        {
            Look(ResultCode.ParamIllegal, mistake, good, bad);
            return;
        }
        _age = (Steps.Count, new(mistake, bad));
        Look(
            ResultCode.ParamIllegal,
            "",
            $"{good} That is right if it was sent then, and too old if it is sent now.",
            ""
        );
    }

    /// <summary>Makes the age the cause if there is no other.</summary>
    public void Close()
    {
        if (_age is not { } age || Causes.Count > 0)
            return;
        Steps[age.Step] = new(ResultCode.ParamIllegal.Code, false, age.Mistake.Text);
        Causes.Add(age.Mistake);
    }
}
