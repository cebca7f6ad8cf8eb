output "dns_name" {
  description = "Where clients connect, at port 5432; the certificate has to have it, or a name that leads there."
  value       = aws_lb.this.dns_name
}

output "task_security_group_id" {
  description = "For servers that others open."
  value       = aws_security_group.task.id
}

output "log_group" {
  description = "Audit and log."
  value       = aws_cloudwatch_log_group.this.name
}
