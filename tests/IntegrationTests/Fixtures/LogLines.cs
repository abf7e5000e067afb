using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace CancelService.IntegrationTests.Fixtures;

/// <summary>One log line with its category, level, text and exception.</summary>
public sealed record LogLine(string Category, LogLevel Level, string Text, Exception? Exception);

/// <summary>Logger provider that collects a host's log lines.</summary>
public sealed class LogLines : ILoggerProvider
{
    private readonly ConcurrentQueue<LogLine> _lines = new();

    /// <summary>Returns the lines logged so far whose category ends with the given class name.</summary>
    public IReadOnlyList<LogLine> Of(string category) =>
        [.. _lines.Where(line => line.Category.EndsWith(category, StringComparison.Ordinal))];

    public ILogger CreateLogger(string categoryName) => new Logger(_lines, categoryName);

    public void Dispose() { }

    private sealed class Logger(ConcurrentQueue<LogLine> lines, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel,
            EventId eventId,
            TState state,
            Exception? exception,
            Func<TState, Exception?, string> formatter
        ) => lines.Enqueue(new(category, logLevel, formatter(state, exception), exception));
    }
}
