namespace CancelService.Harness;

/// <summary>The repository in which the tests run.</summary>
public static class Repository
{
    /// <summary>The root directory of the repository.</summary>
    public static string Root { get; } = Find();

    private static string Find()
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "CancelService.sln")))
            directory =
                directory.Parent
                ?? throw new InvalidOperationException(
                    "CancelService.sln was not found. Run the tests inside the repository."
                );
        return directory.FullName;
    }
}
