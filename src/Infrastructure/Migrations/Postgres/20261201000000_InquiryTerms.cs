using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace CancelService.Infrastructure.Migrations.Postgres
{
    /// <inheritdoc />
    public partial class InquiryTerms : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.AddColumn<int>(
                name: "contract_inquiries_per_second",
                table: "clients",
                type: "integer",
                nullable: false,
                defaultValue: 100
            );

            migrationBuilder.AddColumn<int>(
                name: "contract_inquiry_burst",
                table: "clients",
                type: "integer",
                nullable: false,
                defaultValue: 200
            );

            migrationBuilder.AddColumn<bool>(
                name: "contract_may_inquire",
                table: "clients",
                type: "boolean",
                nullable: false,
                defaultValue: true
            );
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropColumn(name: "contract_inquiries_per_second", table: "clients");

            migrationBuilder.DropColumn(name: "contract_inquiry_burst", table: "clients");

            migrationBuilder.DropColumn(name: "contract_may_inquire", table: "clients");
        }
    }
}
