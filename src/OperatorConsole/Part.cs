namespace CancelService.OperatorConsole;

/// <summary>A part of a page that is read by itself, so that the others are shown while it can't be read.</summary>
/// <param name="Value">The content; default when it could not be read.</param>
/// <param name="Problem">The reason why it could not be read, without full stop; null when it was.</param>
public sealed record Part<T>(T? Value, string? Problem);
