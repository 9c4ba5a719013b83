DROP FUNCTION bucket_made_meanwhile();
