#pragma warning disable CA1812, MA0048, MA0182 // A circular dependency for CirclesTests to find.
namespace CancelService.UnitTests.Circle.One
{
    internal sealed class First
    {
        public Two.Second? Next { get; init; }
    }
}

namespace CancelService.UnitTests.Circle.Two
{
    internal sealed class Second
    {
        public One.First? Next { get; init; }
    }
}
