namespace CancelService.Pages;

/// <summary>A link of a page's navigation.</summary>
/// <param name="Text">The text.</param>
/// <param name="Href">The path.</param>
public sealed record PageLink(string Text, string Href);
