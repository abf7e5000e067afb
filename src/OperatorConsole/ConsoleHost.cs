namespace CancelService.OperatorConsole;

/// <summary>The facts about the serving instance that the pages show; its host provides them.</summary>
/// <param name="Version">The version and the revision that run.</param>
/// <param name="Database">The name of the database's kind.</param>
/// <param name="Timeout">How long an answer waits for the database.</param>
/// <param name="AnswersMetric">The histogram of answers, with the tags <c>operation</c> and <c>code</c>.</param>
/// <param name="Explain">Explains a failed call with the given time limit, in a sentence without full stop.</param>
public sealed record ConsoleHost(
    string Version,
    string Database,
    TimeSpan Timeout,
    string AnswersMetric,
    Func<Exception, TimeSpan, string> Explain
);
