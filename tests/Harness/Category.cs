namespace CancelService.Harness;

/// <summary>Tells build.cake which tests to run: <c>[Trait(Category.Trait, Category.Full)]</c>.</summary>
public static class Category
{
    /// <summary>The trait's name.</summary>
    public const string Trait = "Category";

    /// <summary>Takes long, or has a verdict that depends on speed: not in Default.</summary>
    public const string Full = "Full";

    /// <summary>Draws its input from CANCELSERVICE_SEED: the target Seed repeats it with a new one.</summary>
    public const string Seeded = "Seeded";
}
