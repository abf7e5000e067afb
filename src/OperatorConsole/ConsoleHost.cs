namespace CancelService.OperatorConsole;

/// <summary>The facts about the serving instance that the pages show; its host provides them.</summary>
/// <param name="Version">The version and the revision that run.</param>
/// <param name="Database">The name of the database's kind.</param>
/// <param name="Timeout">How long an answer waits for the database.</param>
/// <param name="AnswersMetric">The name of the histogram of answers, which has the tag <c>code</c>.</param>
/// <param name="Explain">Says in a sentence without full stop why a call that may take the given time has failed.</param>
public sealed record ConsoleHost(
    string Version,
    string Database,
    TimeSpan Timeout,
    string AnswersMetric,
    Func<Exception, TimeSpan, string> Explain
);
