using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace CancelService.Infrastructure.Migrations.Sqlite
{
    /// <summary>So that pruning finds a client's delivered events without looking at all the others'.</summary>
    public partial class OutboxDeliveredIndex : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateIndex(
                name: "ix_outbox_client_id_delivered_at",
                table: "outbox",
                columns: new[] { "client_id", "delivered_at" },
                filter: "delivered_at IS NOT NULL"
            );
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropIndex(name: "ix_outbox_client_id_delivered_at", table: "outbox");
        }
    }
}
